"""linphonec: one registers and publishes, another watches it as its friend."""

import re
import sys

import liblinphone
import office
from programs import Failure, Missing, Program, need

CONFIG = """[sip]
sip_port={port}
sip_tcp_port=0
sip_tls_port=0
default_proxy=0
register_only_when_network_is_up=0
guess_hostname=0
contact="{user}" <sip:{user}@127.0.0.1>

[net]
firewall_policy=0

[proxy_0]
reg_proxy=<sip:127.0.0.1:{server};transport=udp>
reg_route=<sip:127.0.0.1:{server};transport=udp;lr>
reg_identity=sip:{user}@{domain}
reg_expires=600
reg_sendregister=1
publish={publish}
publish_expires=600

[auth_info_0]
username={user}
passwd={secret}
"""

FRIEND = """
[friend_{number}]
url=<sip:{friend}@{domain}>
pol=accept
subscribe=1
"""


def start(run, user, port, watched=(), publish=1, person=False):
    """A linphonec of this user; it registers, publishes that it is there, and subscribes to its friends. With a person,
    who says what they do, it is the library alone."""
    need("linphonec")
    if person and liblinphone.library() is None:
        raise Missing("there is no liblinphone")
    home = run.logs / f"linphone-{user}"
    (home / ".local/share/linphone").mkdir(parents=True)
    config = CONFIG.format(publish=publish, user=user, port=port, server=run.server.udp, domain=office.DOMAIN,
                           secret=office.secret(user))
    for number, friend in enumerate(watched):
        config += FRIEND.format(number=number, friend=friend, domain=office.DOMAIN)
    (home / "linphonerc").write_text(config)
    command = ["linphonec", "-c", home / "linphonerc", "-d", "6", "-l", home / "messages.log"]
    if person:
        command = [sys.executable, liblinphone.__file__, home / "linphonerc"]
    return Program(f"linphone-{user}", command, run.logs / f"linphone-{user}.log", env={"HOME": str(home)})


def registered(program, user):
    """Asks until it says so: linphonec does not tell by itself."""
    for _ in range(20):
        seen = program.mark()
        program.type("status register")
        try:
            program.wait_for(rf"registered, identity=sip:{user}@", 1, since=seen)
            return
        except Failure:
            if program.child.poll() is not None:
                raise
    raise Failure(f"{program.name} does not get registered (see {program.log})")


class Phone:
    """A linphonec that makes and takes calls; its sound comes from a file that is not there."""

    def __init__(self, run, user):
        self.user = user
        self.messages = run.logs / f"linphone-{user}" / "messages.log"
        self.program = start(run, user, run.free_port(), publish=0)

    def ready(self):
        registered(self.program, self.user)
        self.program.type("soundcard use files")

    def dial(self, number):
        self.program.type(f"call sip:{number}@{office.DOMAIN}")

    def accept(self):
        call = self.program.wait_for(r"Receiving new incoming call from .*assigned id (\d+)").group(1)
        self.program.type(f"answer {call}")

    def hold(self):
        self.program.type("pause")

    def resume(self):
        self.program.wait_for(r"is now paused")
        self.program.type("resume 1")

    def hang_up(self):
        self.program.type("terminate")

    def transfer(self, number):
        self.program.type(f"transfer sip:{number}@{office.DOMAIN}")

    def transfer_to_other_call(self, call, other):
        self.program.wait_for(rf"Media streams established .* for call {other}")
        self.program.type(f"transfer {call} --to-call {other}")

    def stop(self):
        self.program.stop()


def registers_publishes_and_watches(run):
    domain = re.escape(office.DOMAIN)
    erin = start(run, "erin", run.free_port(), watched=["frank"])
    frank = None
    try:
        registered(erin, "erin")
        frank = start(run, "frank", run.free_port())
        registered(frank, "frank")
        erin.wait_for(rf"<sip:frank@{domain}> is Online", 20)
        seen = erin.mark()
        frank.type("quit")
        frank.ended(15)
        erin.wait_for(rf"<sip:frank@{domain}> is Offline", 20, since=seen)
        erin.type("quit")
        erin.ended(15)
        for user in ("erin", "frank"):
            messages = (run.logs / f"linphone-{user}" / "messages.log").read_text(errors="replace")
            # 481 is linphone's own answer to the NOTIFY that ends a subscription it has just ended.
            refused = re.findall(r"^SIP/2\.0 (?!401|481)[456]\d\d .*", messages, re.MULTILINE)
            if refused:
                raise Failure(f"the server refused {len(refused)} requests of {user}, as in `{refused[0]}`")
            for method in ("REGISTER", "PUBLISH"):
                if not re.search(rf"^{method} sip:", messages, re.MULTILINE):
                    raise Failure(f"{user} sent no {method}")
    finally:
        for program in (frank, erin):
            if program:
                program.stop()


def publishes_what_its_person_does(run):
    """A linphone says in turn that its person is busy, away, and back; another that watches it as its friend is told."""
    domain = re.escape(office.DOMAIN)
    grace = start(run, "grace", run.free_port(), watched=["heidi"])
    heidi = None
    try:
        registered(grace, "grace")
        heidi = start(run, "heidi", run.free_port(), person=True)
        grace.wait_for(rf"<sip:heidi@{domain}> is Online", 20)
        for word, shown in (("busy", "Busy"), ("away", "Away"), ("online", "Online")):
            seen = grace.mark()
            heidi.type(word)
            heidi.wait_for(rf"said {word}")
            grace.wait_for(rf"<sip:heidi@{domain}> is {shown}", 20, since=seen)
        seen = grace.mark()
        heidi.type("quit")
        heidi.ended(15)
        grace.wait_for(rf"<sip:heidi@{domain}> is Offline", 20, since=seen)
    finally:
        for program in (heidi, grace):
            if program:
                program.stop()
