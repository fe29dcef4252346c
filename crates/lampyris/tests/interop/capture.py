"""A capture of the run's own two ports on the loopback interface, judged by an independent dissector."""

import re
import os
import shutil
import subprocess
import time
from xml.etree import ElementTree

from programs import Failure, Missing, Program

# What tshark says of a frame it cannot make sense of, and of SIP or XML that is wrong.
WRONG = " || ".join(["_ws.malformed", "_ws.unreassembled", '_ws.expert.severity == "Error"', "sip.content_length.invalid",
                     "sip.Status-Code.invalid", "sip.Via.sent-by.port.invalid", "sip.retry_after.invalid", "xml.unknown"])

# What a whole run sends.
SENT = {"REGISTER", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INVITE", "ACK", "BYE", "CANCEL", "REFER", "OPTIONS"}


class Capture:
    def __init__(self, server, logs):
        self.server = server
        self.file = logs / "run.pcapng"
        self.log = logs / "tshark.txt"
        self.program = None
        self.why_not = None
        if not shutil.which("tshark"):
            self.why_not = "there is no tshark"
            return
        filter_ = f"udp port {server.udp} or tcp port {server.tcp}"
        self.program = Program("dumpcap", ["dumpcap", "-q", "-i", "lo", "-f", filter_, "-w", self.file],
                               logs / "dumpcap.log")
        try:
            self.program.wait_for(r"^File:", 10)
        except Failure as failure:
            self.program.stop()
            self.program = None
            self.why_not = f"may not capture on lo: {failure}"

    def stop(self):
        if self.program:
            # The kernel hands frames over in batches; what the run sent last must be in the file.
            size = -1
            while size != os.path.getsize(self.file):
                size = os.path.getsize(self.file)
                time.sleep(0.5)
            self.program.stop()

    def tshark(self, *arguments):
        decode = ["-d", f"udp.port=={self.server.udp},sip", "-d", f"tcp.port=={self.server.tcp},sip"]
        done = subprocess.run(["tshark", "-n", "-r", self.file, *decode, *arguments], capture_output=True, text=True,
                              errors="replace", timeout=120, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Failure(f"tshark: {done.stderr.strip()}")
        return done.stdout

    def dissect(self, whole_run):
        """Fails where a frame is wrong, or where a whole run's capture lacks what a whole run sends."""
        if not self.program:
            raise Missing(self.why_not)
        frames = self.tshark("-Y", "sip", "-T", "fields", "-e", "sip.Method", "-e", "sip.Status-Code")
        methods = {line.split("\t")[0] for line in frames.splitlines()}
        lacking = SENT - methods
        if lacking and whole_run:
            raise Failure(f"the capture has no {', '.join(sorted(lacking))}: {len(frames.splitlines())} SIP frames")
        if whole_run and not self.tshark("-Y", 'xml && sip.Method == "NOTIFY"').strip():
            raise Failure("the capture has no NOTIFY with XML")
        forwarded = f'sdp && sip.Record-Route contains "{self.server.udp}" && udp.srcport == {self.server.udp}'
        if whole_run and not self.tshark("-Y", forwarded).strip():
            raise Failure("the capture has no session description that the server passed on")
        # A datagram of the server's that is no SIP at all; keep-alives of up to 4 bytes are (RFC 5626 §4.4).
        opaque = f"(udp.srcport == {self.server.udp} && udp.length > 12 && !sip)"
        wrong = self.tshark("-Y", f"{WRONG} || {opaque}", "-V")
        self.log.write_text(wrong)
        if wrong.strip():
            lines = [line.strip() for line in wrong.splitlines()
                     if "Malformed" in line or "Expert Info (Error" in line or "nrecognized" in line]
            raise Failure(f"frames that do not dissect: {' | '.join(lines[:4]) or wrong[:200]} (see {self.log})")
        self.read_strictly(whole_run)

    def read_strictly(self, whole_run):
        """What tshark lets pass: a Content-Length that is not the body's, and XML that is not well-formed."""
        fields = ["-T", "fields", "-e", "tcp.stream", "-e", "udp.payload", "-e", "tcp.payload"]
        sent = self.tshark("-Y", f"udp.srcport == {self.server.udp} || tcp.srcport == {self.server.tcp}", *fields)
        datagrams, streams = [], {}
        for line in sent.splitlines():
            stream, datagram, segment = (line.split("\t") + ["", ""])[:3]
            if stream:
                streams[stream] = streams.get(stream, b"") + bytes.fromhex(segment)
            else:
                datagrams.append(bytes.fromhex(datagram))
        documents = sum(document(message, rest_must_be=b"")[0] for message in datagrams if message.strip())
        for rest in streams.values():
            while rest := rest.lstrip(b"\r\n"):
                found, rest = document(rest)
                documents += found
        if documents == 0 and whole_run:
            raise Failure("the server sent no XML document")


def document(message, rest_must_be=None):
    """Whether the SIP message at the start of these bytes brings well-formed XML, and the bytes after it."""
    head, separator, rest = message.partition(b"\r\n\r\n")
    lines = head.decode(errors="replace").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    length = headers.get("content-length", "")
    if not separator or not length.isdigit() or len(rest) < int(length):
        raise Failure(f"no whole message, or no Content-Length that fits it: `{lines[0]}`, {headers}")
    body, rest = rest[:int(length)], rest[int(length):]
    if rest_must_be is not None and rest != rest_must_be:
        raise Failure(f"{len(rest)} bytes after the body of `{lines[0]}`")
    content_type = headers.get("content-type", "")
    if content_type.startswith("multipart/"):
        documents = parts(lines[0], content_type, body)
    else:
        documents = [body] if "xml" in content_type else []
    for text in documents:
        try:
            ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise Failure(f"the body of `{lines[0]}` is not well-formed: {error}: {text!r}") from None
    return bool(documents), rest


def parts(line, content_type, body):
    """The XML documents of a multipart body whose boundary stands last and bare (liblinphone 5.1 crashes on any other)."""
    found = re.search(r";boundary=([0-9A-Za-z._+-]+)$", content_type)
    if not found:
        raise Failure(f"the boundary of `{line}` is not as phones read it: {content_type}")
    mark = b"--" + found.group(1).encode()
    start, *middle, end = body.split(mark)
    if start or end != b"--\r\n" or not all(part.startswith(b"\r\n") and part.endswith(b"\r\n") for part in middle):
        raise Failure(f"the parts of `{line}` are not set apart by CRLF and the boundary: {body!r}")
    split = [part[2:-2].partition(b"\r\n\r\n") for part in middle]
    return [text for head, _, text in split if b"xml" in head.lower()]
