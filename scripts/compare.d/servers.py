"""Starts and stops what `scripts/compare`, `scripts/figures` and `scripts/compare-calls` compare: lampyris, and Kamailio from Debian.

Each server has a directory of its own, a port of 127.0.0.1 that was free, and ends with its `with` block."""
import contextlib, os, pathlib, shutil, signal, socket, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "scripts" / "compare.d"
LAMPYRIS = pathlib.Path(os.environ.get("LAMPYRIS", ROOT / "target/release/lampyris"))


def as_root(*command):
    return list(command) if os.geteuid() == 0 else ["sudo", "-n", *command]


def install(*packages):
    """Debian packages that are missing."""
    def missing(package):
        found = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True)
        return "install ok installed" not in found.stdout
    wanted = [package for package in packages if missing(package)]
    if not wanted:
        return
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "check": True}
    environment = as_root("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq")
    subprocess.run(environment + ["update"], **quiet)
    subprocess.run(environment + ["install", "-y", "--no-install-recommends", *wanted], **quiet)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def built():
    if not LAMPYRIS.exists():
        sys.exit(f"{sys.argv[0]}: build it first: cargo build --release")


def answers(port, process, log, poll_s):
    """Waits until the server answers an OPTIONS, whatever it says."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(max(poll_s, 0.01))
        own = s.getsockname()[1]
        for at in range(int(30 / poll_s)):
            if process.poll() is not None:
                sys.exit(f"{sys.argv[0]}: {process.args[0]} ended: {log.read_text(errors='replace')[-2000:]}")
            text = (f"OPTIONS sip:ready@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bKr{at};rport\r\n"
                    f"Max-Forwards: 70\r\nFrom: <sip:ready@127.0.0.1>;tag=r\r\nTo: <sip:ready@127.0.0.1>\r\n"
                    f"Call-ID: ready{at}-{own}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
            with contextlib.suppress(OSError):
                s.sendto(text.encode(), ("127.0.0.1", port))
                s.recv(4096)
                return
            time.sleep(poll_s)
    sys.exit(f"{sys.argv[0]}: {process.args[0]} does not answer: {log.read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def running(command, port, directory, poll_s=0.1):
    log = directory / "log"
    with open(log, "wb") as out:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        answers(port, process, log, poll_s)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def lampyris(directory, port, config, poll_s=0.1):
    """Ours, with this configuration."""
    file = directory / "lampyris.toml"
    file.write_text(config)
    command = [LAMPYRIS, "run", file, "--data", directory / "data", "--listen", f"udp:127.0.0.1:{port}"]
    return running(command, port, directory, poll_s)


def kamailio(directory, port, config, defines=(), database="", memory_mb=512):
    """Kamailio's, with a file of this directory; PORT, MODULES and DATABASE in it are filled in."""
    modules = next(pathlib.Path("/usr/lib").glob("*/kamailio/modules"), None)
    text = (DATA / config).read_text()
    for name, value in {"PORT": port, "MODULES": f"{modules}/", "DATABASE": database}.items():
        text = text.replace(name, str(value))
    file = directory / "kamailio.cfg"
    file.write_text(text)
    flags = [part for define in defines for part in ("-A", define)]
    # -DD: the main process stays ours to end.
    command = [shutil.which("kamailio") or "/usr/sbin/kamailio", "-DD", "-m", memory_mb, "-M", 16, "-f", file,
               "-P", directory / "pid", "-Y", directory, *flags]
    return running(command, port, directory)
