#!/usr/bin/env python3
"""Interop: real SIP programs against the real server, all on loopback.

Prints `ok NAME`, `FAILED NAME: why` or `SKIPPED 1 NAME: why` for each check, and exits 1 where one failed. One server
serves all checks and several run at a time, so each check has peers of its own; a capture of the whole run is dissected
at the end.

  run.py --server target/debug/lampyris --logs DIR [--only NAME]"""

import argparse
import functools
import shlex
import shutil
import socket
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import silent  # noqa: F401 (its check, which takes longest)
import acceptance  # noqa: F401 (its check)
import baresip
import browser  # noqa: F401 (its check)
import calls  # noqa: F401 (its checks)
import calls_phones  # noqa: F401 (its checks)
import kamailio  # noqa: F401 (its check)
import kamailio_presence  # noqa: F401 (its check)
import kamailio_rls  # noqa: F401 (its check)
import linphone
import linphone_lists  # noqa: F401 (its checks)
import office
import pickup  # noqa: F401 (its checks)
import scanner  # noqa: F401 (its check)
import secure  # noqa: F401 (its check)
import terminal  # noqa: F401 (its checks)
import transfer  # noqa: F401 (its checks)
from capture import Capture
from checks import CHECKS, check
from programs import Failure, Missing, Program, Server, need, wait_until
from sipp import TOKEN, Scenario

# Most of their time they wait for each other.
AT_ONCE = 6


class Run:
    """What the checks share."""

    given = set()
    giving = threading.Lock()

    def __init__(self, server, logs):
        self.server = server
        self.logs = logs

    @classmethod
    def beside(cls, server, logs):
        """For a check that has a server of its own."""
        return cls(server, logs)

    def port(self, transport):
        return self.server.udp if transport == "udp" else self.server.tcp

    @classmethod
    def free_port(cls):
        """A port that nobody has just now, and no other check was given."""
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            with cls.giving:
                if port not in cls.given:
                    cls.given.add(port)
                    return port

    def sipp(self, scenario, transport="udp"):
        """Runs one call of a scenario to its end."""
        code = self.start_sipp(scenario, transport).ended(90)
        if code != 0:
            raise Failure(f"SIPp, exit {code}: {self.why(scenario)}")

    def script(self, name, *command):
        """A command as a script for `Scenario.command`, since SIPp's own reading of quotes is not a shell's."""
        file = self.logs / f"{name}.sh"
        file.write_text(f"exec {shlex.join(str(part) for part in command)} >'{file}.log' 2>&1\n")
        return file

    def sipp_command(self, scenario, transport="udp", port=None, calls=1):
        file = self.logs / f"{scenario.name}.xml"
        file.write_text(scenario.xml())
        return ["sipp", f"127.0.0.1:{self.port(transport)}", "-sf", file, "-i", "127.0.0.1", "-p", port or self.free_port(),
                "-m", calls, "-t", "u1" if transport == "udp" else "t1", "-au", scenario.user,
                "-ap", office.secret(scenario.user), "-timeout", "80", "-timeout_error", "-nostdin", "-trace_err", "-error_file",
                self.logs / f"{scenario.name}.errors", "-trace_msg", "-message_file",
                self.logs / f"{scenario.name}.messages"]

    def start_sipp(self, scenario, transport):
        need("sipp")
        command = self.sipp_command(scenario, transport)
        return Program("SIPp", command, self.logs / f"{scenario.name}.screen", env={"TERM": "dumb"})

    def why(self, scenario):
        errors = self.logs / f"{scenario.name}.errors"
        if not errors.exists():
            return "no error file"
        lines = errors.read_text(errors="replace").strip().splitlines()
        return " | ".join(line.strip() for line in lines[:4] if line.strip()) or "an empty error file"


def pidf(user, basic, note):
    entity = f"sip:{user}@{office.DOMAIN}"
    return ('<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{entity}"><tuple id="desk">'
            f"<status><basic>{basic}</basic></status><note>{note}</note></tuple></presence>")


def register(run, transport):
    scenario = Scenario(f"register-{transport}", f"reg-{transport}", office.DOMAIN)
    scenario.register(headers=["Expires: 2"], status=423, expects=[("Min-Expires:", "[1-9][0-9]*")])
    scenario.register(headers=["Expires: 120"], expects=[("Contact:", "expires=1(20|19)")])
    scenario.register(contact=False, expects=[("Contact:", "expires=1[0-2][0-9]")])
    scenario.register(headers=["Expires: 0"], lacks=["Contact:"])
    run.sipp(scenario, transport)


@check
def sipp_registers_over_udp(run):
    register(run, "udp")


@check
def sipp_registers_over_tcp(run):
    register(run, "tcp")


def publish(run, transport):
    user = f"pub-{transport}"
    scenario = Scenario(f"publish-{transport}", user, office.DOMAIN)

    def tag(name):
        return {name: ("SIP-ETag:", TOKEN)}
    scenario.publish(120, body=pidf(user, "open", "first"), keep=tag("first"), expects=[("Expires:", "120")])
    scenario.publish(120, if_match="[$first]", keep=tag("second"))
    scenario.publish(120, if_match="[$second]", body=pidf(user, "closed", "second"), keep=tag("third"))
    scenario.publish(120, if_match="[$first]", status=412)
    scenario.publish(0, if_match="[$third]")
    scenario.publish(120, if_match="[$third]", status=412)
    run.sipp(scenario, transport)


@check
def sipp_publishes_over_udp(run):
    publish(run, "udp")


@check
def sipp_publishes_over_tcp(run):
    publish(run, "tcp")


def watch_lamp(run, name, transport, lamp, package, accept, idle, in_use):
    """Subscribes to a lamp, sees it change, refreshes, and unsubscribes."""
    set_lamp = run.script(f"{name}-in-use", *run.server.command("devstate", "set", office.lamp_device(lamp), "INUSE"))
    run.server.ask("devstate", "set", office.lamp_device(lamp), "NOT_INUSE")
    kind = ("Content-Type:", accept.replace("+", "[+]"))
    scenario = Scenario(name, f"watch-{transport}", office.DOMAIN)
    scenario.subscribe(lamp, package, accept, 600)
    scenario.notified(("Event:", package), kind, state="active;expires=(600|599)", body=idle)
    scenario.command(set_lamp)
    scenario.notified(kind, body=in_use)
    scenario.subscribe(lamp, package, accept, 300, in_dialog=True)
    scenario.notified(kind, state="active;expires=(300|299)", body=in_use)
    scenario.subscribe(lamp, package, accept, 0, in_dialog=True)
    scenario.notified(state="terminated")
    run.sipp(scenario, transport)


@check
def sipp_watches_presence_over_udp(run):
    watch_lamp(run, "watch-presence-udp", "udp", "7000", "presence", "application/pidf+xml",
               ["<basic>open</basic>"], ["<basic>open</basic>", "[Oo]n.the.phone"])


@check
def sipp_watches_presence_over_tcp(run):
    watch_lamp(run, "watch-presence-tcp", "tcp", "7001", "presence", "application/pidf+xml",
               ["<basic>open</basic>"], ["<basic>open</basic>", "[Oo]n.the.phone"])


@check
def sipp_watches_dialogs_over_udp(run):
    watch_lamp(run, "watch-dialog-udp", "udp", "7002", "dialog", "application/dialog-info+xml",
               ['state="full"'], ['state="full"', "<state>confirmed</state>"])


@check
def sipp_watches_dialogs_over_tcp(run):
    watch_lamp(run, "watch-dialog-tcp", "tcp", "7003", "dialog", "application/dialog-info+xml",
               ['state="full"'], ['state="full"', "<state>confirmed</state>"])


@check
def sipp_watches_a_list_of_lamps(run):
    """As a BLF list phone does: one subscription, all of it at first and after a refresh, one member for each change."""
    name, lamp = "watch-list", "7009"
    set_lamp = run.script(f"{name}-in-use", *run.server.command("devstate", "set", office.lamp_device(lamp), "INUSE"))
    run.server.ask("devstate", "set", office.lamp_device(lamp), "NOT_INUSE")
    accept = "application/dialog-info+xml, multipart/related, application/rlmi+xml"
    kind, required = ("Content-Type:", 'multipart/related;type="application/rlmi[+]xml"'), ("Require:", "eventlist")
    scenario = Scenario(name, "watch-tcp", office.DOMAIN)
    scenario.subscribe("board", "dialog", accept, 600, status=421, expects=[required])
    eventlist = {"headers": ["Supported: eventlist"]}
    scenario.subscribe("board", "dialog", accept, 600, expects=[required], **eventlist)
    scenario.notified(kind, required, body=['version="0" fullState="true"', "sip:7008@", "sip:7009@"])
    scenario.command(set_lamp)
    scenario.notified(kind, required, body=['version="1" fullState="false"', "sip:7009@", "<state>confirmed</state>"])
    scenario.subscribe("board", "dialog", accept, 300, in_dialog=True, **eventlist)
    scenario.notified(kind, body=['version="2" fullState="true"', "sip:7008@", "sip:7009@"])
    scenario.subscribe("board", "dialog", accept, 0, in_dialog=True, **eventlist)
    scenario.notified(state="terminated")
    run.sipp(scenario, "tcp")


@check
def sipp_sees_lamp_6001_in_every_state(run):
    """The founding scenario: Alice watches 6001, which is Bob-mobile and Bob-desk. One NOTIFY per change, no more."""
    note = {
        "Unavailable": ["<basic>closed</basic>"],
        "Idle": ["<basic>open</basic>"],
        "On the phone": ["<basic>open</basic>", "[Oo]n.the.phone"],
        "Ringing": ["<basic>open</basic>", "Ringing"],
        "On hold": ["<basic>open</basic>", "[Oo]n.[Hh]old"],
    }

    steps = iter(range(100))

    def script(*command):
        return run.script(f"founding-{next(steps)}", *command)

    def bind(expires):
        return script(*run.sipp_command(Scenario(f"bind-{expires}", "Bob-mobile", office.DOMAIN).bind(expires)))

    def device(*words):
        return script(*run.server.command("devstate", *words))

    alice = Scenario("founding", "Alice", office.DOMAIN)
    alice.subscribe("6001", "presence", "application/pidf+xml", 1800)
    alice.notified(state="active;expires=1(800|799)", body=note["Unavailable"])
    changes = [
        (bind(120), "Idle"),
        (device("set", "SIP/Bob-mobile", "RINGING"), "Ringing"),
        (device("set", "SIP/Bob-mobile", "INUSE"), "On the phone"),
        (device("set", "SIP/Bob-desk", "RINGING"), "Ringing"),  # with a call on the mobile: ringing while in use
        (device("clear", "SIP/Bob-desk"), "On the phone"),
        (device("set", "SIP/Bob-mobile", "ONHOLD"), "On hold"),
        (device("set", "SIP/Bob-mobile", "BUSY"), "On the phone"),
        (device("clear", "SIP/Bob-mobile"), "Idle"),
        (bind(0), "Unavailable"),
    ]
    for command, shown in changes:
        alice.command(command)
        alice.notified(body=note[shown])
    alice.quiet(700)
    alice.subscribe("6001", "presence", "application/pidf+xml", 0, in_dialog=True)
    alice.notified(state="terminated")
    run.sipp(alice)


@check
def sipp_watches_a_mailbox_over_udp(run):
    run.server.ask("mailbox", "set", office.MAILBOX, "0")
    messages = run.script("mailbox-messages", *run.server.command("mailbox", "set", office.MAILBOX, "3", "1"))
    summary = "application/simple-message-summary"
    scenario = Scenario("watch-mailbox", "mail-udp", office.DOMAIN)
    scenario.subscribe("mail-udp", "message-summary", summary, 600)
    scenario.notified(("Content-Type:", summary), body=["Messages-Waiting: no"])
    scenario.command(messages)
    scenario.notified(("Content-Type:", summary), body=["Messages-Waiting: yes", "Voice-Message: 3/1"])
    scenario.subscribe("mail-udp", "message-summary", summary, 0, in_dialog=True)
    scenario.notified(state="terminated")
    run.sipp(scenario)


@check
def sipp_stays_subscribed_when_the_server_is_killed(run):
    """kill -9 and a restart in the middle of a subscription: the next change comes in the same dialog."""
    directory = run.logs / "killed"
    directory.mkdir()
    server = Server(run.server.binary, office.FILES, directory)
    try:
        inner = run.beside(server, directory)
        seen = directory / "first-notify-seen"
        scenario = Scenario("survive", "Alice", office.DOMAIN)
        scenario.subscribe("7000", "presence", "application/pidf+xml", 1800)
        scenario.notified(body=["<basic>open</basic>"])
        scenario.command(inner.script("seen", "touch", seen))
        scenario.notified_at_last("[Oo]n.the.phone")
        scenario.subscribe("7000", "presence", "application/pidf+xml", 600, in_dialog=True)
        scenario.notified(body=["[Oo]n.the.phone"])
        scenario.subscribe("7000", "presence", "application/pidf+xml", 0, in_dialog=True)
        scenario.notified(state="terminated")
        alice = inner.start_sipp(scenario, "udp")
        try:
            wait_until(seen.exists, "Alice's first NOTIFY")
            server.crash_and_restart()
            server.ask("devstate", "set", office.lamp_device("7000"), "INUSE")
            if alice.ended(60) != 0:
                raise Failure(f"SIPp: {inner.why(scenario)}")
        finally:
            alice.stop()
    finally:
        server.stop()


@check
def sipp_reaches_a_server_that_listens_everywhere(run):
    """The founding files as they are: no domain configured, bound to the wildcard, asked for by address."""
    directory = run.logs / "everywhere"
    directory.mkdir()
    files = {**office.FILES, "sip.conf": office.SIP_CONF.replace(f"domain={office.DOMAIN}\n", "")}
    server = Server(run.server.binary, files, directory, address="0.0.0.0")
    try:
        scenario = Scenario("everywhere", "Alice", f"127.0.0.1:{server.udp}")
        scenario.subscribe("6001", "presence", "application/pidf+xml", 1800)
        scenario.notified(("Contact:", f"127[.]0[.]0[.]1:{server.udp}"), body=["<basic>closed</basic>"])
        scenario.subscribe("6001", "presence", "application/pidf+xml", 0, in_dialog=True)
        scenario.notified(state="terminated")
        run.beside(server, directory).sipp(scenario)
    finally:
        server.stop()


@check
def baresip_registers_publishes_and_watches(run):
    baresip.registers_publishes_and_watches(run)


@check
def linphone_registers_publishes_and_watches(run):
    linphone.registers_publishes_and_watches(run)


@check
def linphone_publishes_what_its_person_does(run):
    linphone.publishes_what_its_person_does(run)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--server", required=True, help="the lampyris binary")
    options.add_argument("--logs", required=True, type=Path, help="a directory for logs; emptied first")
    options.add_argument("--only", help="only checks whose name has this")
    options = options.parse_args()
    shutil.rmtree(options.logs, ignore_errors=True)
    options.logs.mkdir(parents=True)
    logs = options.logs.resolve()
    chosen = [check for check in CHECKS if not options.only or options.only in check.__name__]

    counts = {"ok": 0, "FAILED": 0, "SKIPPED": 0}

    began = {}

    def report(verdict, name, why=""):
        counts[verdict] += 1
        number = " 1" if verdict == "SKIPPED" else ""
        took = f" ({time.monotonic() - began[name]:.1f} s)" if name in began else ""
        print(f"{verdict}{number} {name}{': ' + why if why else ''}{took}\n", end="", flush=True)

    def attempt(name, action):
        began[name] = time.monotonic()
        try:
            action()
            report("ok", name)
        except Missing as missing:
            report("SKIPPED", name, str(missing))
        except Failure as failure:
            report("FAILED", name, str(failure))
        except Exception as error:  # a fault of the check itself fails it, and the rest goes on
            report("FAILED", name, f"{type(error).__name__}: {error}")
            traceback.print_exc()

    try:
        server = Server(options.server, office.FILES, logs)
    except (Failure, OSError) as failure:
        for check_function in chosen:
            report("FAILED", check_function.__name__, f"the server does not start: {failure}")
        return 1
    capture = Capture(server, logs)
    try:
        run = Run(server, logs)
        # Concurrently, since they mostly wait; each has its own peers and lamps.
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for check_function in chosen:
                pool.submit(attempt, check_function.__name__, functools.partial(check_function, run))
    finally:
        capture.stop()
        server.stop()
    attempt("tshark_finds_no_malformed_frame", lambda: capture.dissect(whole_run=not options.only))
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['SKIPPED']} skipped")
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
