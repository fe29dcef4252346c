"""The full-screen verbs on a real terminal (a pty), and what `trace` hands to tshark and sngrep."""

import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import office
from checks import check
from programs import Failure, Program, Server, need, wait_until
from sipp import Scenario

ENTER, LEAVE, CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


class Terminal:
    """A program on a terminal of its own, in UTF-8; `seen` is all that it wrote."""

    def __init__(self, command, log, columns=100, rows=30, **env):
        own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.own, self.theirs, self.seen, self.log = own, theirs, b"", log
        self.columns, self.rows = columns, rows
        clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "LC_ALL", "LC_CTYPE")}
        clean.update({"TERM": "xterm-256color", "LANG": "C.UTF-8", **env})
        self.child = subprocess.Popen([str(part) for part in command], stdin=theirs, stdout=theirs, stderr=theirs, env=clean,
                                      start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                if not select.select([self.own], [], [], 0.2)[0]:
                    if self.child.poll() is not None:
                        return
                    continue
                self.seen += os.read(self.own, 65536)
            except OSError:
                return

    def screen(self):
        """What stands on the screen now, as lines; a program writes only the cells that change."""
        cells, row, column = {}, 0, 0
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x1b]|\x1b", self.seen.decode(errors="replace")):
            if part.startswith("\x1b[") and part[-1] == "H":
                row, column = [int(number) - 1 for number in (part[2:-1] or "1;1").split(";")]
            elif part == "\x1b[2J":
                cells = {}
            elif part == "\r":
                column = 0
            elif part == "\n":
                row += 1
            elif not part.startswith("\x1b"):
                cells[row, column] = part
                column += 1
        return "\n".join("".join(cells.get((y, x), " ") for x in range(self.columns)) for y in range(self.rows))

    def wait_for(self, pattern, seconds=15):
        try:
            wait_until(lambda: re.search(pattern, self.screen()), f"/{pattern}/", seconds)
        except Failure as failure:
            raise Failure(f"{failure} on the screen: {self.screen().split()}") from None

    def has_colour(self):
        codes = [int(code or 0) for found in re.findall(rb"\x1b\[([0-9;]*)m", self.seen) for code in found.split(b";")]
        return any(30 <= code <= 48 and code != 39 or code >= 90 for code in codes)

    def type(self, keys):
        os.write(self.own, keys.encode())

    def has_given_the_terminal_back(self, code=0):
        """It ended so, and left the terminal as it found it."""
        try:
            found = self.child.wait(10)
        except subprocess.TimeoutExpired:
            raise Failure("it does not end") from None
        self.reader.join(2)
        if found != code:
            raise Failure(f"exit {found}: {self.seen[-300:]!r}")
        if self.seen.count(ENTER) != 1 or LEAVE not in self.seen or not self.seen.rstrip().endswith(CURSOR):
            raise Failure(f"the screen is not left: {self.seen[-80:]!r}")
        if termios.tcgetattr(self.theirs) != self.before:
            raise Failure("the terminal is not as it was")

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.reader.join(2)
        self.log.write_bytes(self.seen)
        os.close(self.own)
        os.close(self.theirs)


def on_terminal(run, name, words, look, **env):
    """Runs a verb on a terminal, and has `look` look at it."""
    terminal = Terminal(run.server.command(*words), run.logs / f"terminal-{name}.log", **env)
    try:
        look(terminal)
    finally:
        terminal.close()


@check
def the_board_follows_a_lamp_and_gives_the_terminal_back(run):
    directory = run.logs / "terminal"
    directory.mkdir()
    server = Server(run.server.binary, office.FILES, directory)
    inner = run.beside(server, directory)
    device = office.lamp_device("7001")
    try:
        def follows(terminal):
            terminal.wait_for("Board .* live")
            terminal.wait_for("7001 +idle")
            asked = time.monotonic()
            server.ask("devstate", "set", device, "RINGING")
            terminal.wait_for("▲ 7001 +ringing")
            told = 1000 * (time.monotonic() - asked)
            print(f"a lamp was seen on the terminal {told:.0f} ms after `devstate set` began\n", end="")
            if not terminal.has_colour():
                raise Failure("there is no colour")
            terminal.type("/7001\r")
            terminal.wait_for("Board  1 of ")
            terminal.type("\r")
            terminal.wait_for("Why 7001(.|\n)*Custom:lamp01 +RINGING +set by command")
            terminal.type("q")  # the explanation is closed
            wait_until(lambda: "Why" not in terminal.screen(), "the explanation is closed")
            terminal.type("q")
            terminal.has_given_the_terminal_back()

        def is_plain(terminal):
            terminal.wait_for("! 1 ringing")
            if terminal.has_colour():
                raise Failure("colour, though NO_COLOR is set")
            if not terminal.screen().isascii():
                raise Failure("more than ASCII in the locale C")
            terminal.child.send_signal(signal.SIGTERM)
            terminal.has_given_the_terminal_back()

        def comes_back(terminal):
            terminal.wait_for("Board .* live")
            server.program.stop(ask=signal.SIGKILL)
            terminal.wait_for("trying again: no lampyris server is running")
            server.start()
            terminal.wait_for("Board .* live", 30)
            server.ask("devstate", "set", device, "INUSE")
            terminal.wait_for("● 7001 +in use")
            terminal.type("\x03")
            terminal.has_given_the_terminal_back()

        on_terminal(inner, "board", ["board"], follows)
        on_terminal(inner, "board-plain", ["board"], is_plain, NO_COLOR="1", LANG="C")
        on_terminal(inner, "board-again", ["board"], comes_back)
        on_terminal(inner, "board-small", ["board"], lambda terminal: (
            terminal.wait_for("6001"), terminal.type("q"), terminal.has_given_the_terminal_back()), columns=20, rows=4)
    finally:
        server.stop()


def watch(run, name):
    """A subscription over UDP with digest, from beginning to end: its Call-ID comes out."""
    scenario = Scenario(name, "carol", office.DOMAIN)
    scenario.subscribe("7001", "dialog", "application/dialog-info+xml", 600)
    scenario.notified()
    scenario.subscribe("7001", "dialog", "application/dialog-info+xml", 0, in_dialog=True)
    scenario.notified(state="terminated")
    run.sipp(scenario)


def frames(file, port, *fields, check="TRUE"):
    """What tshark reads of a capture file, one list per frame; no frame may be wrong, nor a checksum."""
    options = ["-n", "-o", f"ip.check_checksum:{check}", "-o", f"udp.check_checksum:{check}", "-d", f"udp.port=={port},sip",
               "-r", file]
    wrong = subprocess.run(["tshark", *options, "-Y", '_ws.malformed || _ws.expert.severity == "Error" || !sip'],
                           capture_output=True, text=True, timeout=60)
    if wrong.returncode or wrong.stdout.strip():
        raise Failure(f"tshark: {wrong.stdout[:300]} {wrong.stderr[-300:]}")
    wanted = [part for field in fields for part in ("-e", field)]
    read = subprocess.run(["tshark", *options, "-T", "fields", *wanted], capture_output=True, text=True, timeout=60)
    return [line.split("\t") for line in read.stdout.splitlines()]


@check
def a_trace_is_read_by_tshark_and_sngrep(run):
    need("sipp", "tshark", "sngrep")
    directory = run.logs / "trace"
    directory.mkdir()
    server = Server(run.server.binary, office.FILES, directory)
    try:
        inner = run.beside(server, directory)
        capture, heard = directory / "trace.pcap", directory / "hep.pcap"
        port = run.free_port()
        sngrep = Program("sngrep", ["sngrep", "-F", "-N", "-q", "-L", f"udp:127.0.0.1:{port}", "-O", heard],
                         directory / "sngrep.log", env={"TERM": "dumb"})
        collector = Collector()

        def ladder(terminal):
            terminal.wait_for("nothing has gone by yet")
            watch(inner, "traced")
            terminal.wait_for("◀─.* SUBSCRIBE 7001 dialog ─")
            terminal.wait_for("NOTIFY 7001 dialog terminated")
            terminal.type("g\r")
            terminal.wait_for("Call-ID:")
            terminal.type("\x1b")
            terminal.type("/481\r")
            terminal.wait_for("nothing that went by fits")
            terminal.type("q")
            terminal.has_given_the_terminal_back()
            if b"response=\"***\"" not in capture.read_bytes() or re.search(rb'response="[0-9a-f]{32}', capture.read_bytes()):
                raise Failure("the capture has credentials, or no digest at all")

        try:
            on_terminal(inner, "trace", ["trace", "--pcap", capture, "--hep", f"127.0.0.1:{collector.port}"], ladder)
            own = f"127.0.0.1:{server.udp}"
            read = frames(capture, server.udp, "sip.Method", "sip.Status-Code", "udp.srcport", "sip.Call-ID")
            methods = {row[0] for row in read if row[0]}
            if not {"SUBSCRIBE", "NOTIFY"} <= methods or not any(row[2] == str(server.udp) for row in read):
                raise Failure(f"the capture of {own} has {read}")
            collector.agrees_with(read)

            # The same story again, to sngrep.
            lines = Program("trace", server.command("trace", "--lines", "--ascii", "--hep", f"127.0.0.1:{port}", "--method",
                                                    "SUBSCRIBE"), directory / "trace-lines.log")
            try:
                # It says nothing before the first message, so the story is told until it has heard one.
                wait_until(lambda: watch(inner, "traced-again") or lines.mark() > 0, "a line of the trace")
                lines.wait_for(r"-> SUBSCRIBE 7001 dialog +UDP ")
                lines.wait_for(r"<- 200 OK \(SUBSCRIBE\)")
            finally:
                lines.stop()
            wait_until(lambda: heard.exists() and heard.stat().st_size > 24, "sngrep writes what came by HEP")
        finally:
            sngrep.stop(ask=signal.SIGINT)
            collector.stop()
        # sngrep makes the headers around what it heard, and no checksums.
        rows = frames(heard, server.udp, "sip.Method", "sip.CSeq.method", check="FALSE")
        if {row[1] for row in rows} != {"SUBSCRIBE"}:
            raise Failure(f"sngrep wrote {rows}")
    finally:
        server.stop()


class Collector:
    """Reads HEP3 by its specification, without a line of the server's."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.packets = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while datagram := self.socket.recv(65536):
            self.packets.append(datagram)

    @staticmethod
    def chunks(datagram):
        if datagram[:4] != b"HEP3" or struct.unpack(">H", datagram[4:6])[0] != len(datagram):
            raise Failure(f"no HEP3: {datagram[:12]!r}")
        at, found = 6, {}
        while at < len(datagram):
            vendor, kind, length = struct.unpack(">HHH", datagram[at:at + 6])
            if vendor != 0 or length < 6 or at + length > len(datagram):
                raise Failure(f"a chunk of vendor {vendor}, type {kind}, length {length}")
            found[kind] = datagram[at + 6:at + length]
            at += length
        return found

    def agrees_with(self, rows):
        """The same messages as in the capture file, in its order."""
        wait_until(lambda: len(self.packets) >= len(rows), f"{len(rows)} HEP packets")
        for datagram, (_, _, port, call_id) in zip(self.packets, rows, strict=True):
            found = self.chunks(datagram)
            seen = (found[1], found[2], found[11], struct.unpack(">H", found[7])[0], found[17].decode(), socket.inet_ntoa(found[3]))
            if seen != (b"\x02", b"\x11", b"\x01", int(port), call_id, "127.0.0.1"):
                raise Failure(f"{seen} is not {port}, {call_id}")
            if abs(struct.unpack(">I", found[9])[0] - time.time()) > 120 or b"\r\n\r\n" not in found[15]:
                raise Failure(f"a packet of another time, or no message: {found}")

    def stop(self):
        self.socket.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join(2)
        self.socket.close()
