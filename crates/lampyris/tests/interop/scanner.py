"""SIPVicious, which strangers' scanners are made of: it finds no user, guesses no password, and keeps nobody out."""

import hashlib
import json
import os
import re
import socket
import subprocess
from pathlib import Path

import office
from checks import check
from programs import Failure, Missing, Server

# What svwar looks for: two who exist among many who do not.
USERS = ["Alice", "carol"] + [f"nobody{n}" for n in range(40)]
# More than one source may get wrong (GUESSES_BURST), and the right one after that.
GUESSES = [f"wrong{n}" for n in range(150)]


def program(name):
    """A program of SIPVicious, from where `scripts/install-test-tools` puts it."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or Path(__file__).parents[4] / "target")
    found = target / "tools" / "sipvicious" / "bin" / f"sipvicious_{name}"
    if not found.exists():
        raise Missing(f"there is no sipvicious_{name} (scripts/install-test-tools)")
    return found


def run_program(name, log, *words):
    command = [str(part) for part in (program(name), "-b", "127.0.0.1", "-x", "127.0.0.1", *words)]
    home = log.parent / f"home-{name}"
    home.mkdir(exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL,
                          env={**os.environ, "HOME": str(home)})
    log.write_text(done.stdout + done.stderr)
    return done.stdout + done.stderr


@check
def sipvicious_finds_nobody_and_locks_nobody_out(run):
    program("svwar")
    directory = run.logs / "scanner"
    directory.mkdir()
    server = Server(run.server.binary, office.FILES, directory)
    try:
        seen = run_program("svmap", directory / "svmap.log", "-p", server.udp, "127.0.0.1")
        if "lampyris" in seen:
            raise Failure("svmap is told who answers")
        users = directory / "users.txt"
        users.write_text("\n".join(USERS) + "\n")
        found = run_program("svwar", directory / "svwar.log", "--force", "-d", users, "--domain", office.DOMAIN,
                            "-p", server.udp, "127.0.0.1")
        # Its report is a table; what it prints besides shows single answers.
        told = set(re.findall(r"^\|\s*([\w-]+)\s*\|", found, re.MULTILINE)) & set(USERS)
        if told and told != set(USERS):
            raise Failure(f"svwar tells users from others: it names {sorted(told)}")

        # Two honest phones: one behind the guesser's own address that has shown who it is, one elsewhere.
        near, far = Phone(server.udp, "carol", "127.0.0.1"), Phone(server.udp, "dave", "127.0.0.2")
        near.registers()
        before = json.loads(server.ask("show", "limits", "--json"))
        words = directory / "words.txt"
        guesses = GUESSES + [office.secret("erin")]
        words.write_text("\n".join(guesses) + "\n")
        cracked = run_program("svcrack", directory / "svcrack.log", "-u", "erin", "-d", words, "--domain", office.DOMAIN,
                              "-p", server.udp, "127.0.0.1")
        if office.secret("erin") in cracked:
            raise Failure("svcrack guessed a password after 150 wrong ones")
        after = json.loads(server.ask("show", "limits", "--json"))
        hits = lambda rows: next(row["hits"] for row in rows if row["name"] == "guesses_per_source")
        if hits(after) <= hits(before):
            raise Failure("svcrack was not throttled")
        near.registers()
        far.registers()
    finally:
        server.stop()


class Phone:
    """A phone of one socket that registers by digest."""

    def __init__(self, port, user, address):
        self.server, self.user, self.number = ("127.0.0.1", port), user, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.settimeout(10)
        self.at = "%s:%d" % self.socket.getsockname()

    def registers(self):
        challenge = self._ask("")
        if not challenge.startswith("SIP/2.0 401"):
            raise Failure(f"{self.user} is not challenged: {challenge.splitlines()[0]}")
        fields = dict(re.findall(r'(realm|nonce|algorithm)="?([^",\r]+)', challenge))
        make = hashlib.sha256 if fields.get("algorithm") == "SHA-256" else hashlib.md5
        digest = lambda text: make(text.encode()).hexdigest()
        uri = f"sip:{office.DOMAIN}"
        first = digest(f"{self.user}:{fields['realm']}:{office.secret(self.user)}")
        response = digest(f"{first}:{fields['nonce']}:00000001:c:auth:{digest(f'REGISTER:{uri}')}")
        answer = self._ask(f'Authorization: Digest username="{self.user}", realm="{fields["realm"]}", '
                           f'nonce="{fields["nonce"]}", uri="{uri}", response="{response}", '
                           f'algorithm={fields.get("algorithm", "MD5")}, qop=auth, nc=00000001, cnonce="c"\r\n')
        if not answer.startswith("SIP/2.0 200"):
            raise Failure(f"{self.user} at {self.at} does not get in: {answer.splitlines()[0]}")

    def _ask(self, more):
        self.number += 1
        aor = f"sip:{self.user}@{office.DOMAIN}"
        text = (f"REGISTER sip:{office.DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {self.at};branch=z9hG4bK{self.user}{self.number}\r\n"
                f"Max-Forwards: 70\r\nFrom: <{aor}>;tag=t{self.number}\r\nTo: <{aor}>\r\nCall-ID: {self.user}{self.at}\r\n"
                f"CSeq: {self.number} REGISTER\r\nContact: <sip:{self.user}@{self.at}>\r\nExpires: 600\r\n"
                f"User-Agent: {'x' * 200}\r\n{more}Content-Length: 0\r\n\r\n")
        self.socket.sendto(text.encode(), self.server)
        while True:
            answer = self.socket.recv(65536).decode()
            if answer.startswith("SIP/2.0 ") and f"CSeq: {self.number} " in answer:
                return answer
