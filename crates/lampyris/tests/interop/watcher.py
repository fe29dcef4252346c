"""A watcher of one extension, made of one UDP socket: it subscribes to `dialog` and `presence` with digest, answers every
NOTIFY at once, and hands over what came, one document at a time.

It is strict: each NOTIFY must follow the one before (CSeq, and the version of a dialog-info), and what a check does not
ask for by the time it ends the watch fails it. So a sequence that passes is the whole sequence."""

import hashlib
import re
import socket
import threading
import time
from xml.etree import ElementTree

import office
from programs import Failure

DIALOG = "urn:ietf:params:xml:ns:dialog-info"
FORMATS = {"dialog": "application/dialog-info+xml", "presence": "application/pidf+xml"}

# What a lamp shows, as (dialog, presence).
DARK = ("terminated", "closed Unavailable")
IDLE = ("terminated", "open Ready")
TRYING = ("trying", "open On the phone")
DIALLING = ("early", "open On the phone")
RINGING = ("early", "open Ringing")
UP = ("confirmed", "open On the phone")
HELD = ("confirmed held", "open On hold")


class Watcher:
    def __init__(self, run, user, extension):
        self.name = f"{user} watching {extension}"
        self.user, self.extension = user, extension
        self.server = ("127.0.0.1", run.server.udp)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.at = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.log = open(run.logs / f"watch-{extension}-{self.socket.getsockname()[1]}.log", "w")
        self.news = threading.Condition()
        self.came = {package: [] for package in FORMATS}
        self.shown, self.reasons = {}, set()
        self.answers, self.cseq, self.remote, self.wrong = [], 0, {}, None
        self.last = {package: (0, -1) for package in FORMATS}
        self.open = self.strict = True
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self):
        try:
            for package in FORMATS:
                self._subscribe(package, 600)
        except Failure:
            self._close()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self._end()
        finally:
            self._close()

    def sees(self, lamp, seconds=15, why=None):
        """The next document of each package that this lamp changes shows it; the others get none. `why` is the reason
        that the dialog document gives for a dialog that has ended."""
        for package, expected in zip(FORMATS, lamp):
            if expected != self.shown.get(package):
                self.shown[package] = self._next(package, {expected}, seconds)
        if why and why not in self.reasons:
            raise Failure(f"{self.name}: a dialog ended by {self.reasons}, not `{why}` (see {self.log.name})")

    def comes_to(self, lamp, through):
        """As `sees`, but perhaps after documents of `through`: what two calls do at once is told in either order."""
        for package, expected in zip(FORMATS, lamp):
            ways = {step[list(FORMATS).index(package)] for step in through}
            while expected != self.shown.get(package):
                self.shown[package] = self._next(package, {expected, *ways}, 15)

    def comes_to_say(self, package, word, seconds):
        """A document of this package that says this word, perhaps after others: whoever publishes tells as often as it
        likes."""
        deadline = time.monotonic() + seconds
        with self.news:
            while True:
                while self.came[package]:
                    seen, self.reasons = self.came[package].pop(0)
                    if word in seen.split():
                        return
                left = deadline - time.monotonic()
                if left <= 0 or self.wrong:
                    raise Failure(self.wrong or f"{self.name}: no {package} that says `{word}` within {seconds} s")
                self.news.wait(left)

    def forget(self):
        """What comes besides is not looked at."""
        self.strict = False

    def _next(self, package, expected, seconds):
        deadline = time.monotonic() + seconds
        with self.news:
            while not self.came[package]:
                left = deadline - time.monotonic()
                if left <= 0 or self.wrong:
                    raise Failure(self.wrong or f"{self.name}: no {package} NOTIFY of {expected} within {seconds} s")
                self.news.wait(left)
            seen, reasons = self.came[package].pop(0)
        if package == "dialog":
            self.reasons = reasons
        if seen not in expected:
            raise Failure(f"{self.name}: {package} is `{seen}`, not {expected} (see {self.log.name})")
        return seen

    def _end(self):
        """Unsubscribes; nothing but the last NOTIFY of each may have been left."""
        for package in FORMATS:
            with self.news:
                left = list(self.came[package])
            if left and self.strict:
                raise Failure(f"{self.name}: {package} NOTIFYs too many: {left} (see {self.log.name})")
            self._subscribe(package, 0)
            if self.strict:
                self._next(package, {"over"}, 15)
            else:
                self.comes_to_say(package, "over", 15)
        if self.wrong:
            raise Failure(self.wrong)

    def _close(self):
        self.open = False
        self.socket.sendto(b"\r\n\r\n", self.socket.getsockname())
        self.reader.join(2)
        self.socket.close()
        self.log.close()

    # The dialogs of its subscriptions.

    def _subscribe(self, package, expires):
        answer = self._ask(package, expires, [])
        if answer[0] == 401:
            answer = self._ask(package, expires, [self._authorization(answer[1]["www-authenticate"])])
        if answer[0] != 200:
            raise Failure(f"{self.name}: SUBSCRIBE {package} was answered {answer[0]}")
        self.remote[package] = answer[1]["to"]

    def _ask(self, package, expires, more):
        self.cseq += 1
        to = self.remote.get(package, f"<sip:{self.extension}@{office.DOMAIN}>")
        lines = [f"SUBSCRIBE sip:{self.extension}@{office.DOMAIN} SIP/2.0",
                 f"Via: SIP/2.0/UDP {self.at};branch=z9hG4bK{self.at}-{self.cseq};rport", "Max-Forwards: 70",
                 f"From: <sip:{self.user}@{office.DOMAIN}>;tag={package}", f"To: {to}",
                 f"Call-ID: {package}-{self.extension}-{self.at}", f"CSeq: {self.cseq} SUBSCRIBE",
                 f"Contact: <sip:{self.user}@{self.at}>", f"Event: {package}", f"Accept: {FORMATS[package]}",
                 f"Expires: {expires}", *more, "Content-Length: 0", "", ""]
        request = "\r\n".join(lines).encode()
        for wait in (0.5, 1, 2, 4):
            self._send(request)
            with self.news:
                if self.news.wait_for(lambda: self.answers, wait):
                    return self.answers.pop()
        raise Failure(f"{self.name}: SUBSCRIBE {package} was not answered")

    def _authorization(self, challenge):
        realm, nonce = (re.search(rf'{name}="([^"]*)"', challenge).group(1) for name in ("realm", "nonce"))
        uri = f"sip:{self.extension}@{office.DOMAIN}"

        def md5(text):
            return hashlib.md5(text.encode()).hexdigest()
        ha1 = md5(f"{self.user}:{realm}:{office.secret(self.user)}")
        response = md5(f"{ha1}:{nonce}:00000001:c:auth:{md5(f'SUBSCRIBE:{uri}')}")
        return (f'Authorization: Digest username="{self.user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
                f'algorithm=MD5, qop=auth, nc=00000001, cnonce="c", response="{response}"')

    # What comes in.

    def _send(self, message):
        self.log.write(f"{time.time():.3f} >\n{message.decode()}\n")
        self.socket.sendto(message, self.server)

    def _read(self):
        while self.open:
            message = self.socket.recv(65536)
            if not message.strip():
                continue
            self.log.write(f"{time.time():.3f} <\n{message.decode(errors='replace')}\n")
            self.log.flush()
            try:
                self._take(message)
            except Exception as error:  # a message that cannot be read is what the check is told of
                self._fail(f"{self.name}: {type(error).__name__}: {error} (see {self.log.name})")

    def _take(self, message):
        head, _, body = message.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {}
        for name, _, value in (line.partition(":") for line in lines[1:]):
            headers.setdefault(name.strip().lower(), value.strip())
        if lines[0].startswith("SIP/2.0"):
            if int(headers["cseq"].split()[0]) == self.cseq:
                with self.news:
                    self.answers = [(int(lines[0].split()[1]), headers)]
                    self.news.notify_all()
            return
        kept = [line for line in lines if re.match("(?i)(via|from|to|call-id|cseq):", line)]
        self._send("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""]).encode())
        package = headers["event"].split(";")[0]
        cseq, version = int(headers["cseq"].split()[0]), self.last[package][1]
        if cseq == self.last[package][0]:
            return  # a retransmission
        if self.last[package][0] and cseq != self.last[package][0] + 1:
            self._fail(f"{self.name}: {package} NOTIFY {cseq} after {self.last[package][0]}")
        seen, reasons, version = self._read_document(package, headers, body, version)
        self.last[package] = (cseq, version)
        with self.news:
            self.came[package].append((seen, reasons))
            self.news.notify_all()

    def _read_document(self, package, headers, body, version):
        """What it shows, the reasons why dialogs have ended, and its version."""
        over = headers["subscription-state"].startswith("terminated")
        if headers.get("content-type") != FORMATS[package]:
            self._fail(f"{self.name}: a NOTIFY with {headers.get('content-type')}")
            return "nothing", set(), version
        root = ElementTree.fromstring(body)
        if package == "presence":
            basic = [element.text for element in root.iter() if element.tag.endswith("}basic")]
            notes = {element.text for element in root.iter() if element.tag.endswith("}note")}
            return "over" if over else " ".join(basic + sorted(notes)), set(), version
        if int(root.get("version")) != version + 1:
            self._fail(f"{self.name}: version {root.get('version')} after {version}")
        live = sorted(filter(None, (dialog_word(dialog) for dialog in root.iter(f"{{{DIALOG}}}dialog"))))
        reasons = {state.get("event") for state in root.iter(f"{{{DIALOG}}}state")} - {None}
        return "over" if over else ", ".join(live) or "terminated", reasons, int(root.get("version"))

    def _fail(self, why):
        with self.news:
            self.wrong = self.wrong or why
            self.news.notify_all()


def dialog_word(dialog):
    """A dialog's state, and whether it is held; nothing where it is over."""
    state = dialog.find(f"{{{DIALOG}}}state").text
    if state == "terminated":
        return None
    local = dialog.find(f"{{{DIALOG}}}local")
    params = local.iter(f"{{{DIALOG}}}param") if local is not None else []
    held = any(param.get("pname") == "+sip.rendering" and param.get("pval") == "no" for param in params)
    return f"{state} held" if held else state
