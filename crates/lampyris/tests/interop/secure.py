"""A phone on OpenSSL: Python's ssl client registers by digest over TLS, watches a lamp and sees it change."""

import hashlib
import re
import socket
import ssl
import subprocess

import office
from checks import check
from programs import Failure, Program, need

CONFIG = """[server]
listen = ["tls:127.0.0.1:0"]
[tls]
certificate = "own.pem"
key = "own.key"
[domains."example.com"]
[peers.alice]
secret = "alice's own"
[hints]
"7000" = "Custom:lamp"
"""


class Phone:
    def __init__(self, stream):
        self.stream, self.buffer, self.cseq = stream, b"", 0

    def read(self):
        """The next message: start line, headers, body."""
        while True:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if end:
                lines = head.decode().split("\r\n")
                headers = {}
                for name, _, value in (line.partition(":") for line in lines[1:]):
                    headers.setdefault(name.lower(), []).append(value.strip())
                length = int(headers["content-length"][0])
                if len(rest) >= length:
                    self.buffer = rest[length:]
                    return lines[0], headers, rest[:length].decode()
            chunk = self.stream.recv(65536)
            if not chunk:
                raise Failure("the server closed the connection")
            self.buffer += chunk

    def request(self, method, uri, to, headers):
        """One request, with digest; the headers of its 200."""
        answer = self._ask(method, uri, to, headers)
        if answer[0].startswith("SIP/2.0 401"):
            challenge = next(value for value in answer[1]["www-authenticate"] if "algorithm=MD5" in value)
            realm, nonce = (re.search(rf'{name}="([^"]*)"', challenge).group(1) for name in ("realm", "nonce"))
            ha1, ha2 = (hashlib.md5(text.encode()).hexdigest() for text in (f"alice:{realm}:alice's own", f"{method}:{uri}"))
            response = hashlib.md5(f"{ha1}:{nonce}:00000001:c:auth:{ha2}".encode()).hexdigest()
            answer = self._ask(method, uri, to, [*headers, (
                f'Authorization: Digest username="alice", realm="{realm}", nonce="{nonce}", uri="{uri}", '
                f'algorithm=MD5, qop=auth, nc=00000001, cnonce="c", response="{response}"')])
        if not answer[0].startswith("SIP/2.0 200"):
            raise Failure(f"{method} was answered {answer[0]}")
        return answer[1]

    def _ask(self, method, uri, to, headers):
        self.cseq += 1
        lines = [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/TLS x.invalid;branch=z9hG4bK-{self.cseq};rport", "Max-Forwards: 70",
                 f"From: <sip:alice@{office.DOMAIN}>;tag=a", f"To: <{to}>", f"Call-ID: {method}", f"CSeq: {self.cseq} {method}",
                 "Contact: <sips:alice@x.invalid>", *headers, "Content-Length: 0", "", ""]
        self.stream.sendall("\r\n".join(lines).encode())
        return self.read()

    def notified(self, part):
        line, headers, body = self.read()
        kept = [f"{name}: {headers[name.lower()][0]}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        self.stream.sendall("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""]).encode())
        if not line.startswith("NOTIFY sips:alice@x.invalid") or part not in body:
            raise Failure(f"{line}, and not one with {part}: {body}")


@check
def openssl_registers_and_watches_over_tls(run):
    need("openssl")
    directory = run.logs / "tls"
    directory.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=lampyris", "-addext", f"subjectAltName=DNS:{office.DOMAIN}", "-keyout", directory / "own.key",
                    "-out", directory / "own.pem"], check=True, capture_output=True, timeout=20)
    (directory / "tls.toml").write_text(CONFIG.replace("example.com", office.DOMAIN))
    data = directory / "data"
    server = Program("lampyris", [run.server.binary, "run", directory / "tls.toml", "--data", data], directory / "server.log")
    try:
        port = int(server.wait_for(r"^listening tls:127\.0\.0\.1:(\d+)", 20).group(1))
        context = ssl.create_default_context(cafile=directory / "own.pem")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.minimum_version = context.maximum_version = version
            with socket.create_connection(("127.0.0.1", port), 20) as plain:
                with context.wrap_socket(plain, server_hostname=office.DOMAIN) as stream:
                    phone = Phone(stream)
                    aor = f"sips:alice@{office.DOMAIN}"
                    phone.request("REGISTER", f"sips:{office.DOMAIN}", aor, ["Expires: 120"])
                    lamp = f"sips:7000@{office.DOMAIN}"
                    phone.request("SUBSCRIBE", lamp, lamp, [
                        "Event: dialog", "Accept: application/dialog-info+xml", "Expires: 120"])
                    phone.notified("<dialog-info")
                    for state, seen in (("INUSE", "<state>confirmed</state>"), ("NOT_INUSE", "<dialog-info")):
                        subprocess.run([run.server.binary, "devstate", "set", "Custom:lamp", state, "--data", data],
                                       check=True, capture_output=True, timeout=20, stdin=subprocess.DEVNULL)
                        phone.notified(seen)
    finally:
        server.stop()
