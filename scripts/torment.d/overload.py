"""Five times the work that can be done: four fifths of what can be done are done all the same, the rest is refused or lost on the
way, and ten seconds after the flood everything is served again. The server gets a tenth of a processor, so that the load is larger
than it, and not than what makes the load.

The load is of many phones, each with a publication of its own: one request under way, which is repeated as RFC 3261 §17.1.2.2 has
it until it is answered. What comes, and what is done of it, is the server's own count over the ten seconds in which it is a flood."""

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
# So many that hardly any has its request unanswered when its next one is due, and so few that they can be made in seconds.
PHONES, CALM_PHONES = 20_000, 2000


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


def bench(run, server, phones, seconds, *pace):
    """The load, begun."""
    command = [str(run.binary), "bench", "publish", f"udp:{server.host}:{server.port}", "--domain", "example.com", "--watchers", "1",
               "--presentities", str(phones), "--seconds", str(seconds), "--json", *pace]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def row_of(load):
    """What came of it, by its own account."""
    out, error = load.communicate(timeout=300)
    try:
        return json.loads(out)["rows"][-1]
    except (ValueError, KeyError, IndexError):
        raise RuntimeError((out or error)[:500]) from None


def lost_in_kernel(server):
    """Datagrams that found no room before the server's socket."""
    port = f":{server.port:04X}"
    rows = [line.split() for line in pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(row[-1]) for row in rows if row[1].endswith(port))


def counts(server):
    """The time, datagrams that came so far, and publications stored."""
    counters = server.ask("status")["server"]["counters"]
    return time.monotonic(), counters["udp_received"] + lost_in_kernel(server), counters["records_stored"]


def per_second(before, after):
    """Datagrams, and publications."""
    took = after[0] - before[0]
    return (after[1] - before[1]) / took, (after[2] - before[2]) / took


def on_this_machine():
    """Datagrams that any socket here was given, or was not for want of room."""
    names, values = (line.split()[1:] for line in pathlib.Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:"))
    udp = dict(zip(names, map(int, values)))
    return udp["InDatagrams"] + udp["RcvbufErrors"]


def flood(run, server, capacity):
    """What came per second in the flood, what was done per second, and what the phones say."""
    load = bench(run, server, PHONES, FLOOD_S, "--rate", str(round(5 * capacity)))
    # Before the flood the phones publish for the first time, as fast as they are answered. Why the machine is looked at before the
    # server is asked: its answers are part of the load.
    came, begin = 0, None
    while came < 3 * capacity:
        before, at = on_this_machine(), time.monotonic()
        time.sleep(0.1)
        if (on_this_machine() - before) / (time.monotonic() - at) > 4 * capacity:
            begin = counts(server)
            time.sleep(0.2)
            came = per_second(begin, counts(server))[0]
        if load.poll() is not None:
            raise RuntimeError(f"there was no flood: {row_of(load)}")
    time.sleep(FLOOD_S - 1)
    return *per_second(begin, counts(server)), row_of(load)


def torment(run):
    path = group()
    server = Server(run.binary, run.scratch / "overload", more='[server]\ndurability = "process"\n')
    try:
        server.start()
        (path / "cgroup.procs").write_text(str(server.child.pid))
        tried, floods = 0, []
        for _ in range(2 * run.effort):
            tried += 1
            # Why each time: what it can do is less with the publications of the flood before.
            rows = [row_of(bench(run, server, CALM_PHONES, 4, "--window", "64")) for _ in range(2)]
            capacity = max(row["operations"] / row["seconds"] for row in rows)
            came, done, row = flood(run, server, capacity)
            ended, calm = time.monotonic(), None
            while calm is None and time.monotonic() - ended < 2 * RECOVERY_S:
                if not row_of(bench(run, server, CALM_PHONES, 1, "--rate", str(round(capacity / 2))))["failed"]:
                    calm = time.monotonic() - ended
            floods.append((capacity, came, done, row, calm))
            if run.is_late():
                break
        status = server.status()
    finally:
        server.stop()
        subprocess.run(["rmdir", str(path)], stderr=subprocess.DEVNULL)
    kept = [done >= GOODPUT * capacity and calm is not None and calm <= RECOVERY_S for capacity, _, done, _, calm in floods]
    of = "; ".join(f"it can do {capacity:.0f}/s; {came:.0f}/s came, {done:.0f}/s done ({done / capacity:.0%}), refused or never answered "
                   f"{sum(row['failed'].values())} of {row['operations'] + sum(row['failed'].values())}, all served again after "
                   f"{'never' if calm is None else f'{calm:.1f} s'}" for capacity, came, done, row, calm in floods)
    run.result("overload", tried, sum(kept), tried - sum(kept), f"{of}; bugs counted {status['bugs']}; "
               f"load of the machine {os.getloadavg()[0]:.1f}", ok=all(kept) and not status["bugs"])
