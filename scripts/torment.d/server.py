"""The server under torment: started on loopback (or in a namespace), killed by its own id, asked by its own command line."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

TRUSTED = '["127.0.0.0/8", "10.9.0.0/16"]'


def free_port():
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(("127.0.0.1", tcp.getsockname()[1]))
            except OSError:
                continue
            return tcp.getsockname()[1]


class Server:
    def __init__(self, binary, directory, host="127.0.0.1", data=None, before=(), env=None, more=""):
        self.binary, self.host, self.port = str(binary), host, free_port()
        self.before, self.env = list(before), {**os.environ, "RUST_LOG": "warn", **(env or {})}
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.data = pathlib.Path(data or directory / "data")
        self.config, self.log = directory / "torment.toml", open(directory / "server.log", "ab")
        self.config.write_text(f"trusted = {TRUSTED}\n[domains.\"example.com\"]\nusers = \"any\"\n{more}")
        self.child = None

    @property
    def address(self):
        return (self.host, self.port)

    def start(self, seconds=20):
        """Starts it; the seconds until it answers its first request."""
        began = time.monotonic()
        command = [*self.before, self.binary, "run", str(self.config), "--data", str(self.data)]
        for transport in ("udp", "tcp"):
            command += ["--listen", f"{transport}:{self.host}:{self.port}"]
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.env)
        if self.before:
            return time.monotonic() - began  # in another namespace: whoever put it there asks it
        self.answers(seconds)
        return time.monotonic() - began

    def answers(self, seconds=20, source="127.0.0.1"):
        """Waits for the answer to an OPTIONS."""
        deadline, number = time.monotonic() + seconds, 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((source, 0))
            probe.settimeout(0.05)
            at = "%s:%d" % probe.getsockname()
            while time.monotonic() < deadline:
                if self.child.poll() is not None:
                    break
                number += 1
                text = (f"OPTIONS sip:{self.host} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKready{at}{number};rport"
                        f"\r\nFrom: <sip:ready@example.com>;tag=1\r\nTo: <sip:{self.host}>\r\nCall-ID: ready-{at}\r\n"
                        f"CSeq: {number} OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")
                try:
                    probe.sendto(text.encode(), self.address)
                    probe.recv(65536)
                    return
                except OSError:
                    time.sleep(0.002)
        sys.exit(f"torment: the server does not answer (see {self.log.name})")

    def runs(self):
        return self.child is not None and self.child.poll() is None

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def stop(self):
        if not self.runs():
            return
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def ask(self, *words):
        """What a command answers, as JSON; None where it fails."""
        command = [self.binary, "--data", str(self.data), "--json", *words]
        done = subprocess.run(command, capture_output=True, timeout=30, env=self.env)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return None

    def status(self):
        """What it holds, by its own count."""
        return self.ask("status")["node"]

    # Of its process.

    def rss_anon_kib(self):
        for line in pathlib.Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
        return 0

    def descriptors(self):
        return len(list(pathlib.Path(f"/proc/{self.child.pid}/fd").iterdir()))
