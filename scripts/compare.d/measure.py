"""One run of `lampyris bench`, and how fast the disk is: what `scripts/compare` and `scripts/figures` share."""
import json, os, subprocess, tempfile, time

import servers


def run_bench(port, arguments, pids):
    """The rows of one run against a server on this port; ValueError where it could not be made."""
    measured = [argument for pid in pids for argument in ("--pid", str(pid))]
    command = [servers.LAMPYRIS, "bench", arguments[0], f"udp:127.0.0.1:{port}", *arguments[1:], *measured, "--leave",
               "--json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        raise ValueError(f"{done.stdout} {done.stderr}") from None
    if "error" in report:
        raise ValueError(report["error"]["message"])
    return report["rows"]


def fsyncs_ms(times=200):
    """How long it takes to append 4 KiB to a file and sync it, so many times, in order of length."""
    found = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(times):
            began = time.perf_counter()
            os.write(file.fileno(), b"x" * 4096)
            os.fsync(file.fileno())
            found.append((time.perf_counter() - began) * 1000)
    return sorted(found)


def quantile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
