"""The programs of an interop run as children of it: started on loopback, read line by line, ended by their own id."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path


class Failure(Exception):
    """A check that did not hold, with what was seen instead."""


class Missing(Exception):
    """What a check needs and this machine does not have."""


def need(*commands):
    lacking = [command for command in commands if not shutil.which(command)]
    if lacking:
        raise Missing("there is no " + ", ".join(lacking))


def wait_until(condition, what, seconds=15):
    """Waits for something that only shows, as a file that appears."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Program:
    """A running child whose output can be waited for."""

    def __init__(self, name, command, log, env=None, cwd=None):
        self.name = name
        self.log = log
        self.lines = []
        self.news = threading.Condition()
        self.child = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", bufsize=1, env={**os.environ, **(env or {})}, cwd=cwd, start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with open(self.log, "w") as log:
            for line in self.child.stdout:
                log.write(line)
                log.flush()
                with self.news:
                    self.lines.append(line.rstrip("\n"))
                    self.news.notify_all()
        with self.news:
            self.lines.append(None)
            self.news.notify_all()

    def wait_for(self, pattern, seconds=15, since=0):
        """The match of the first line from `since` on that has `pattern`; fails at its end, or after so many seconds."""
        deadline = time.monotonic() + seconds
        at = since
        with self.news:
            while True:
                while at < len(self.lines):
                    line = self.lines[at]
                    at += 1
                    if line is None:
                        raise Failure(f"{self.name} ended without a line like /{pattern}/ (see {self.log})")
                    found = re.search(pattern, line)
                    if found:
                        return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Failure(f"{self.name}: no line like /{pattern}/ within {seconds} s (see {self.log})")
                self.news.wait(left)

    def wait_until(self, holds, what, seconds=15):
        """Waits until `holds` is true of all lines said so far."""
        deadline = time.monotonic() + seconds
        with self.news:
            while not holds([line for line in self.lines if line is not None]):
                left = deadline - time.monotonic()
                if left <= 0 or None in self.lines:
                    raise Failure(f"{self.name}: {what} did not come true (see {self.log})")
                self.news.wait(left)

    def mark(self):
        """How much was said so far, for `since`."""
        with self.news:
            return len(self.lines)

    def type(self, line):
        try:
            self.child.stdin.write(line + "\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            raise Failure(f"{self.name} has ended (see {self.log})") from None

    def ended(self, seconds):
        """Its exit code."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} still runs after {seconds} s (see {self.log})") from None

    def stop(self, ask=signal.SIGTERM, seconds=5):
        if self.child.poll() is None:
            self.child.send_signal(ask)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.reader.join(2)


class Server:
    """The server under test, on free ports that it keeps over restarts, of the loopback address unless told; `more`
    are transports beside UDP and TCP, on ports in `ports`."""

    def __init__(self, binary, files, directory, address="127.0.0.1", more=()):
        self.address = address
        self.ports = dict.fromkeys(more, 0)
        self.binary = Path(binary).resolve()
        self.directory = directory
        self.data = directory / "data"
        self.config = directory / "config"
        self.config.mkdir(parents=True)
        self.beside = []
        for name, text in files.items():
            if name.endswith(".toml"):
                self.beside += ["--beside", directory / name]
                (directory / name).write_text(text)
            else:
                (self.config / name).write_text(text)
        self.udp = self.tcp = self.starts = 0
        self.start()

    def start(self):
        self.starts += 1
        command = [self.binary, "run", self.config, *self.beside, "--data", self.data,
                   "--listen", f"udp:{self.address}:{self.udp}", "--listen", f"tcp:{self.address}:{self.tcp}"]
        for transport, port in self.ports.items():
            command += ["--listen", f"{transport}:{self.address}:{port}"]
        address = re.escape(self.address)
        self.program = Program("lampyris", command, self.directory / f"server-{self.starts}.log")
        try:
            self.udp = int(self.program.wait_for(rf"^listening udp:{address}:(\d+)", 20).group(1))
            self.tcp = int(self.program.wait_for(rf"^listening tcp:{address}:(\d+)").group(1))
            for transport in self.ports:
                self.ports[transport] = int(self.program.wait_for(rf"^listening {transport}:{address}:(\d+)").group(1))
        except Failure:
            self.stop()
            raise

    def crash_and_restart(self):
        """As a power cut would have it: no chance to say or store anything."""
        self.program.stop(ask=signal.SIGKILL)
        self.start()

    def command(self, *words):
        """A command line that asks this server."""
        return [self.binary, *words, "--data", self.data]

    def ask(self, *words):
        """Runs one; its output."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Failure(f"lampyris {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def stop(self):
        self.program.stop()
