"""A disk that gets full, and has room again: what must be stored is refused with 503 and Retry-After, NOTIFYs and fetches
go on, everything acknowledged holds, and nobody restarts anything."""

import os
import re

from ledger import Ledger
from missing import need, need_root, run as command
from server import Server
from sip import Agent

MIB = 24


def torment(run):
    need_root()
    need("mount", "umount")
    disk = run.scratch / "small-disk"
    disk.mkdir()
    command("mount", "-t", "tmpfs", "-o", f"size={MIB}m", "lampyris-torment", str(disk))
    server = Server(run.binary, run.scratch / "disk", data=disk / "data")
    try:
        full_and_empty(run, server, disk)
    finally:
        server.stop()
        command("umount", "-l", str(disk))


def full_and_empty(run, server, disk):
    server.start()
    agent = Agent(server.address)
    ledger = Ledger(agent, users=6)
    tried = survived = 0
    wrong = [] if ledger.begin() else ["the load does not begin"]
    for _ in range(2 * run.effort):
        tried += 1
        before = ledger.refused
        fill(disk / "ballast")
        grow(agent, ledger)
        refused = ledger.refused - before
        # A fetch needs no disk.
        if not fetched(agent, ledger):
            wrong.append("a fetch is not answered while the disk is full")
        if not server.runs():
            wrong.append("the server is gone")
            break
        (disk / "ballast").unlink()
        if not ledger.settle(30):
            wrong += (ledger.lost + ledger.doubled + ledger.stale)[:5]
            run.keep(ledger)
        else:
            survived += 1
        run.say(f"  full: {refused} refused with 503; then {ledger.changes} changes acknowledged in all")
    # And it is on disk: a crash now loses nothing.
    if server.runs():
        server.kill()
        ledger.killed()
        server.start()
        if not ledger.settle():
            wrong += ["after a crash: " + what for what in (ledger.lost + ledger.doubled + ledger.stale)[:5]]
            run.keep(ledger)
    run.result("disk", tried, survived, len(run.losses), f"{ledger.figures()}; {wrong[:5]}", ok=not wrong)


def fill(path):
    with open(path, "wb") as ballast:
        try:
            while True:
                os.write(ballast.fileno(), b"\0" * 4096)
        except OSError:
            return


def grow(agent, ledger):
    """Load while the disk is full; new publications, which need new room, among it."""
    for number in range(200):
        user = f"new{ledger.refused}-{number}"
        body = (f'<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:{user}@example.com">'
                f'<tuple id="t"><status><basic>open</basic></status><note>{"x" * 3000}</note></tuple></presence>')
        more = ["Event: presence", "Expires: 600", "Content-Type: application/pidf+xml"]
        agent.request("PUBLISH", f"sip:{user}@example.com", user, lambda answer: count(ledger, answer),
                      agent.token("grow"), 1, "g", "", more, body)
    ledger.load(3)


def count(ledger, answer):
    if answer is not None and answer.status == 503:
        ledger.refused += 1
        if not re.match(r"\d", answer.get("retry-after")):
            ledger.lost.append("a 503 without Retry-After")
    elif answer is None:
        ledger.lost.append("a PUBLISH is not answered while the disk is full")


def fetched(agent, ledger):
    user, said = ledger.users[0], []
    more = ["Event: presence", "Accept: application/pidf+xml", "Expires: 0", f"Contact: <sip:f@{agent.host}:{agent.port}>"]
    agent.request("SUBSCRIBE", f"sip:{user.name}@example.com", "fetcher", said.append, agent.token("fetch"), 1, "f", "", more)
    agent.pump(10, lambda: said)
    return bool(said and said[0] and said[0].status in (200, 202))
