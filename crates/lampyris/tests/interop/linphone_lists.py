"""liblinphone watches a list: one that the server keeps, and one that it brings along. A wrong multipart crashes it."""

import re
import sys
from pathlib import Path

import linphone
import office
from checks import check
from programs import Failure, Program, need


def watch_list(run, watcher, friend, rls, kind):
    need("linphonec")
    uri, domain = f"sip:{friend}@{office.DOMAIN}", office.DOMAIN
    home = run.logs / f"linphone-{watcher}"
    (home / ".local/share/linphone").mkdir(parents=True)
    config = linphone.CONFIG.format(publish=0, user=watcher, port=run.free_port(), server=run.server.udp, domain=domain,
                                    secret=office.secret(watcher))
    (home / "linphonerc").write_text(config)
    command = [sys.executable, Path(__file__).with_name("linphone_friends.py"), home / "linphonerc", home,
               f"sip:{rls}@{domain}", kind, uri, f"sip:nobody@{domain}"]
    phone, client = None, Program(f"linphone-{watcher}", command, run.logs / f"linphone-{watcher}.log", env={"HOME": str(home)})
    try:
        client.wait_for(rf"^{re.escape(uri)} closed", 30)
        seen = client.mark()
        phone = linphone.start(run, friend, run.free_port())
        linphone.registered(phone, friend)
        client.wait_for(rf"^{re.escape(uri)} open", 20, since=seen)
        listed = run.server.ask("show", "subscriptions")
        if not re.search(rf"{watcher} .*2 members", listed):
            raise Failure(f"no list of {watcher} in:\n{listed}")
        seen = client.mark()
        phone.type("quit")
        phone.ended(15)
        client.wait_for(rf"^{re.escape(uri)} closed", 20, since=seen)
        client.child.stdin.close()
        client.wait_for("stopped", 15)
        if client.ended(15) != 0:
            raise Failure(f"linphone ended with {client.child.returncode} (see {client.log})")
    finally:
        for program in (phone, client):
            if program:
                program.stop()


@check
def linphone_watches_a_list_of_the_server(run):
    watch_list(run, "gina", "hank", "friends", "kept")


@check
def linphone_watches_a_list_it_brings_along(run):
    watch_list(run, "ivan", "judy", "rls", "brought")
