"""Clocks that are wrong: an hour ahead, a day behind, in 1970. Set while the server runs, what was acknowledged goes on;
set over a crash, the server comes up, and goes on to serve. The clock is moved by libfaketime, which reads it from a file."""

import glob
import pathlib
import subprocess
import os

from ledger import Ledger
from missing import Missing
from server import Server
from sip import Agent

JUMPS = {"+1 h": "+1h", "-1 d": "-1d", "1970": "@1970-01-01 00:00:10"}


def library():
    pattern = "/usr/lib/*/faketime/libfaketimeMT.so.1"
    if not glob.glob(pattern) and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "libfaketime"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = glob.glob(pattern)
    if not found:
        raise Missing("there is no libfaketime, and it cannot be installed")
    return found[0]


def torment(run):
    preload = library()
    clock = pathlib.Path(run.scratch / "clock.rc")
    clock.write_text("+0\n")
    # Timers are monotonic and must not move; what the file says holds within a second.
    env = {"LD_PRELOAD": preload, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_DONT_FAKE_MONOTONIC": "1",
           "FAKETIME_CACHE_DURATION": "1", "FAKETIME_NO_CACHE": "1"}
    server = Server(run.binary, run.scratch / "clock", env=env)
    server.start()
    agent = Agent(server.address)
    ledger = Ledger(agent, users=6)
    wrong = [] if ledger.begin() else ["the load does not begin"]
    tried = survived = 0
    for name, set_to in JUMPS.items():
        for over_a_crash in (False, True):
            tried += 1
            if over_a_crash:
                server.kill()
                ledger.killed()
            clock.write_text(set_to + "\n")
            if over_a_crash:
                server.start()
            ledger.load(1.5)
            ok = ledger.settle()
            if over_a_crash and not ledger.stale and not ledger.doubled:
                # What is stored ends by the wall clock: with a clock set ahead it may have ended.
                ok, ledger.lost = True, []
            survived += ok and server.runs()
            if not ok:
                wrong.append(f"{name}{' over a crash' if over_a_crash else ''}: {(ledger.lost + ledger.stale)[:3]}")
            run.keep(ledger)
            clock.write_text("+0\n")
            ledger.load(1.2)
            ledger.settle()
            run.keep(ledger)
            if over_a_crash:
                ledger.lost = []
    server.stop()
    agent.close()
    run.result("clock", tried, survived, len(run.losses), f"{ledger.figures()}; {wrong}", ok=survived == tried and not wrong)
