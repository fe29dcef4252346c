"""Too little memory: the server runs in a cgroup that is made smaller than it is, is killed for it, and is started again.
What it had acknowledged is still there."""

import os
import pathlib
import subprocess
import time

from ledger import Ledger
from missing import Missing, need_root
from server import Server
from sip import Agent

ROOT = pathlib.Path("/sys/fs/cgroup")


def group():
    need_root()
    if not (ROOT / "cgroup.controllers").exists():
        if not (ROOT / "memory").is_dir():
            raise Missing("there is no memory cgroup")
        path, limit = ROOT / "memory" / f"lampyris-torment-{os.getpid()}", "memory.limit_in_bytes"
    else:
        if "memory" not in (ROOT / "cgroup.subtree_control").read_text():
            raise Missing("the memory controller is not delegated here")
        path, limit = ROOT / f"lampyris-torment-{os.getpid()}", "memory.max"
    try:
        path.mkdir()
        if not (path / limit).exists():
            path.rmdir()
            raise Missing(f"a cgroup here has no {limit}")
    except OSError as error:
        raise Missing(f"a cgroup cannot be made: {error}") from None
    return path, path / limit


def torment(run):
    path, limit = group()
    server = Server(run.binary, run.scratch / "memory")
    wrong, tried, survived, killed = [], 0, 0, 0
    try:
        server.start()
        agent = Agent(server.address)
        ledger = Ledger(agent, users=6)
        if not ledger.begin():
            wrong.append("the load does not begin")
        for _ in range(2 * run.effort):
            tried += 1
            limit.write_text(str(1 << 40))
            (path / "cgroup.procs").write_text(str(server.child.pid))
            ledger.load(1)
            try:
                limit.write_text(str(2 << 20))
            except OSError:
                pass  # it cannot be made so small while the process is as large: what it grows by kills it
            deadline = time.monotonic() + 5
            while server.runs() and time.monotonic() < deadline:
                ledger.load(0.2)
            if server.runs():
                limit.write_text(str(1 << 40))
            else:
                server.child.wait()
                killed += 1
                ledger.killed()
                server.start()
            if ledger.settle():
                survived += 1
            else:
                wrong.append(str((ledger.lost + ledger.doubled + ledger.stale)[:3]))
            run.keep(ledger)
        agent.close()
    finally:
        server.stop()
        subprocess.run(["rmdir", str(path)], stderr=subprocess.DEVNULL)
    run.result("memory", tried, survived, len(run.losses), f"killed for memory {killed}; {ledger.figures()}; {wrong}",
               ok=survived == tried and not wrong)
