"""A small SIP user agent for many users at once: one UDP socket, requests that are repeated until they are answered, and
an answer to every NOTIFY. No digest: the server of a torment trusts the network it stands in."""

import os
import random
import re
import select
import socket
import time

T1, T2, GIVE_UP = 0.25, 1.0, 32.0
COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "o": "event", "l": "content-length"}


class Message:
    """One message: its start line, its headers in lower case (of each name the first, but all Contacts), and its body."""

    def __init__(self, data):
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode(errors="replace").split("\r\n")
        self.start, self.body = lines[0], body.decode(errors="replace")
        self.headers, self.contacts, self.lines = {}, [], lines[1:]
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = COMPACT.get(name.strip().lower(), name.strip().lower())
            self.headers.setdefault(name, value.strip())
            if name == "contact":
                self.contacts.append(value.strip())
        self.status = int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else None
        found = re.search(r"branch=([^;,\s]+)", self.headers.get("via", ""))
        self.branch = found.group(1) if found else ""

    def get(self, name):
        return self.headers.get(name, "")

    def tag(self, name):
        found = re.search(r";\s*tag=([^;\s]+)", self.get(name))
        return found.group(1) if found else ""


class Pending:
    """A request that has no final answer yet."""

    def __init__(self, data, done, now):
        self.data, self.done, self.earlier = data, done, False
        self.interval, self.again, self.until = T1, now + T1, now + GIVE_UP


class Agent:
    """Sends and hears for all users of a test."""

    def __init__(self, server, bind=("127.0.0.1", 0)):
        self.server = server
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(bind)
        self.socket.setblocking(False)
        self.host, self.port = self.socket.getsockname()
        self.prefix = f"{os.getpid():x}{random.getrandbits(32):x}"
        self.serial, self.pending, self.on_notify = 0, {}, lambda message: 200
        self.unanswered, self.notifies = 0, 0

    def token(self, what):
        self.serial += 1
        return f"{what}-{self.prefix}-{self.serial}"

    def request(self, method, uri, user, done, call_id, cseq, tag, to_tag="", more=(), body=""):
        """Sends a request of `user` and calls `done` with its final answer, or None where none came in 32 s."""
        branch = "z9hG4bK" + self.token("b")
        to = f"<sip:{user}@example.com>" if method in ("REGISTER", "PUBLISH") else f"<{uri}>"
        lines = [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {self.host}:{self.port};branch={branch};rport",
                 "Max-Forwards: 70", f"From: <sip:{user}@example.com>;tag={tag}",
                 f"To: {to}" + (f";tag={to_tag}" if to_tag else ""), f"Call-ID: {call_id}", f"CSeq: {cseq} {method}",
                 *more, f"Content-Length: {len(body)}", "", body]
        data = "\r\n".join(lines).encode()
        self.pending[branch] = Pending(data, done, time.monotonic())
        self._send(data)

    def _send(self, data):
        try:
            self.socket.sendto(data, self.server)
        except OSError:
            pass  # nobody listens now, or the buffer is full: it is repeated

    def pump(self, seconds, until=None):
        """Hears and repeats for so long, or until something holds; whether it does."""
        deadline = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            self._repeat(now)
            if until and until():
                return True
            if now >= deadline:
                return False
            if select.select([self.socket], [], [], min(0.02, deadline - now))[0]:
                self._hear()

    def _hear(self):
        for _ in range(256):
            try:
                data = self.socket.recv(65536)
            except OSError:
                return  # nothing more, or an ICMP error of a server that is gone
            message = Message(data)
            if message.status is None:
                self._answer(message)
            elif message.status >= 200:
                pending = self.pending.pop(message.branch, None)
                if pending:
                    message.earlier = pending.earlier
                    pending.done(message)

    def _answer(self, message):
        status = 200
        if message.start.startswith("NOTIFY"):
            self.notifies += 1
            status = self.on_notify(message)
        if message.start.startswith("ACK"):
            return
        kept = [line for line in message.lines if re.match("(?i)(via|from|to|call-id|cseq|v|f|t|i) *:", line)]
        self._send("\r\n".join([f"SIP/2.0 {status} X", *kept, "Content-Length: 0", "", ""]).encode())

    def _repeat(self, now):
        for branch, pending in list(self.pending.items()):
            if now >= pending.until:
                del self.pending[branch]
                self.unanswered += 1
                pending.done(None)
            elif now >= pending.again:
                pending.interval = min(T2, pending.interval * 2)
                pending.again = now + pending.interval
                self._send(pending.data)

    def close(self):
        self.socket.close()
