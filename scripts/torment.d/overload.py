"""Five times the work that can be done: four fifths of what can be done are done all the same, the rest is refused in time, and ten
seconds after the flood everything is served again. The server gets a tenth of a processor, so that the load is larger than it,
and not than what makes the load."""

import json
import os
import pathlib
import subprocess
import time

from missing import Missing, need_root
from server import Server

ROOT = pathlib.Path("/sys/fs/cgroup")
# A hundredth of a second and what of it the server gets. Why so short: it shall be slow, not stand still for longer than waiting may last.
PERIOD_US, SHARE_US = 10_000, 1_000
FLOOD_S, RECOVERY_S, GOODPUT = 10, 10, 0.8


def group():
    need_root()
    path = ROOT / "cpu"
    if (ROOT / "cgroup.controllers").exists():
        if "cpu" not in (ROOT / "cgroup.subtree_control").read_text().split():
            raise Missing("the cpu controller is not delegated here")
        path = ROOT
    path /= f"lampyris-torment-{os.getpid()}"
    try:
        path.mkdir()
        if (path / "cpu.max").exists():
            (path / "cpu.max").write_text(f"{SHARE_US} {PERIOD_US}")
        else:
            (path / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (path / "cpu.cfs_quota_us").write_text(str(SHARE_US))
    except OSError as error:
        raise Missing(f"a cgroup for processors cannot be made: {error}") from None
    return path


def bench(run, server, seconds, *pace):
    """Publications answered 2xx per second, and what else came of them."""
    command = [str(run.binary), "bench", "publish", f"udp:{server.host}:{server.port}", "--domain", "example.com", "--watchers", "1",
               "--presentities", "2000", "--seconds", str(seconds), "--json", *pace]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    try:
        row = json.loads(done.stdout)["rows"][0]
    except (ValueError, KeyError, IndexError):
        raise RuntimeError((done.stdout or done.stderr)[:500]) from None
    return row["operations"] / row["seconds"], row


def torment(run):
    path = group()
    server = Server(run.binary, run.scratch / "overload", more='[server]\ndurability = "process"\n')
    try:
        server.start()
        (path / "cgroup.procs").write_text(str(server.child.pid))
        capacity = max(bench(run, server, 4, "--window", "64")[0] for _ in range(2))
        offered, tried, served = 0, 0, []
        for _ in range(2 * run.effort):
            offered, tried = 5 * capacity, tried + 1
            served.append(bench(run, server, FLOOD_S, "--rate", str(round(offered))))
            ended, calm = time.monotonic(), None
            while calm is None and time.monotonic() - ended < 2 * RECOVERY_S:
                if not bench(run, server, 1, "--rate", str(round(capacity / 2)))[1]["failed"]:
                    calm = time.monotonic() - ended
            served[-1] += (calm,)
            if run.is_late():
                break
        status = server.status()
    finally:
        server.stop()
        subprocess.run(["rmdir", str(path)], stderr=subprocess.DEVNULL)
    kept = [goodput >= GOODPUT * capacity and calm is not None and calm <= RECOVERY_S for goodput, _, calm in served]
    of = ", ".join(f"{goodput:.0f}/s ({goodput / capacity:.0%}; others {row['failed']}; p99 {row['latency_ms']['p99']:.0f} ms), all again "
                   f"after {'never' if calm is None else f'{calm:.1f} s'}" for goodput, row, calm in served)
    run.result("overload", tried, sum(kept), tried - sum(kept), f"it can do {capacity:.0f}/s; offered {offered:.0f}/s, done {of}; bugs "
               f"counted {status['bugs']}; load of the machine {os.getloadavg()[0]:.1f}", ok=all(kept) and not status["bugs"])
