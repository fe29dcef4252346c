"""Kamailio publishes into us: it carries a registration (`pua_usrloc`) and a call (`pua_dialoginfo`), and whoever watches
the two users here sees them come, ring, talk and be done.

Its users are ours too, and it speaks for them from a trusted network. The phones at it are sockets of this file: what
they do is Kamailio's to carry, not ours."""

import shutil
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import office
from checks import check
from programs import Failure, Missing, Program, Server, need
from watcher import DARK, Watcher

MODULES = ["/usr/lib/x86_64-linux-gnu/kamailio/modules", "/usr/lib/kamailio/modules", "/usr/lib64/kamailio/modules",
           "/usr/lib/aarch64-linux-gnu/kamailio/modules"]
# Where Debian's package has empty tables: `pua` wants some, though it keeps nothing in them here.
TABLES = Path("/usr/share/kamailio/dbtext/kamailio")
WANTED = ["db_text", "tm", "sl", "rr", "pv", "siputils", "textops", "usrloc", "registrar", "dialog", "pua", "pua_usrloc",
          "pua_dialoginfo"]

HEAD = """#!KAMAILIO
debug=2
log_stderror=yes
children=2
tcp_children=1
auto_aliases=no
listen=udp:127.0.0.1:{port}
mpath="{modules}/"
{load}
"""

CONFIG = """alias={domain}
modparam("usrloc", "db_mode", 0)
modparam("dialog", "db_mode", 0)
modparam("pua", "db_mode", 0)
modparam("pua", "db_url", "text://{tables}")
modparam("pua", "outbound_proxy", "sip:127.0.0.1:{server}")
modparam("pua_usrloc", "default_domain", "{domain}")
modparam("pua_dialoginfo", "override_lifetime", 600)
request_route {{
    if (is_method("REGISTER")) {{ pua_set_publish(); save("location"); exit; }}
    if (has_totag()) {{ loose_route(); t_relay(); exit; }}
    if (is_method("CANCEL")) {{ t_relay(); exit; }}
    if (!is_method("INVITE")) {{ sl_send_reply("405", "Not here"); exit; }}
    dlg_manage();
    record_route();
    if (!lookup("location")) {{ sl_send_reply("404", "Not found"); exit; }}
    t_relay();
}}
"""

USERS = ["carol", "dave"]
TRUSTED = 'trusted = ["127.0.0.1/32"]\n'


class Phone:
    """A phone at Kamailio, one message at a time."""

    def __init__(self, user, port):
        self.user, self.port = user, port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.5)
        self.at = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.cseq = 0

    def send(self, text):
        self.socket.sendto(text.encode(), ("127.0.0.1", self.port))

    def request(self, method, uri, to, call_id, more=(), cseq=None):
        self.cseq = cseq or self.cseq + 1
        lines = [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {self.at};branch=z9hG4bK{self.user}{method}{self.cseq};rport",
                 "Max-Forwards: 70", f"From: <sip:{self.user}@{office.DOMAIN}>;tag={self.user}", f"To: {to}",
                 f"Call-ID: {call_id}", f"CSeq: {self.cseq} {method}", f"Contact: <sip:{self.user}@{self.at}>", *more,
                 "Content-Length: 0", "", ""]
        self.send("\r\n".join(lines))

    def hears(self, start, seconds=10):
        """The head of the next message that begins so; what else comes is passed over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                head = self.socket.recv(65536).decode().partition("\r\n\r\n")[0].split("\r\n")
            except TimeoutError:
                continue
            if head[0].startswith(start):
                return head
        raise Failure(f"{self.user} at Kamailio hears no `{start}` within {seconds} s")

    def answer(self, head, status):
        kept = [line if not line.lower().startswith("to:") or "tag=" in line else f"{line};tag={self.user}"
                for line in head if line.split(":")[0].lower() in ("via", "from", "to", "call-id", "cseq", "record-route")]
        self.send("\r\n".join([f"SIP/2.0 {status}", *kept, f"Contact: <sip:{self.user}@{self.at}>", "Content-Length: 0", "", ""]))

    def register(self, expires):
        aor = f"sip:{self.user}@{office.DOMAIN}"
        for _ in range(20):  # Kamailio takes its time to start, and says nothing when it has.
            self.request("REGISTER", f"sip:{office.DOMAIN}", f"<{aor}>", f"register-{self.at}", [f"Expires: {expires}"])
            try:
                return self.hears("SIP/2.0 200", 1)
            except Failure:
                pass
        raise Failure(f"{self.user} does not get registered at Kamailio")


def value(head, name):
    return [line.partition(":")[2].strip() for line in head if line.lower().startswith(name + ":")]


def started(directory, port, wanted, tables, rest, **values):
    """Kamailio with these modules and empty tables; `rest` is its configuration, without what is the same for all."""
    modules = next((path for path in MODULES if all(Path(path, f"{name}.so").exists() for name in wanted)), None)
    if modules is None or not TABLES.exists():
        raise Missing("there are no presence modules of Kamailio")
    load = "\n".join(f'loadmodule "{name}.so"' for name in wanted)
    (directory / "tables").mkdir()
    for table in tables:
        shutil.copy(TABLES / table, directory / "tables")
    for table, row in values.pop("rows", {}).items():
        with open(directory / "tables" / table, "a", encoding="ascii") as file:
            file.write(row)
    config = directory / "kamailio.cfg"
    config.write_text((HEAD + rest).format(port=port, modules=modules, load=load, tables=directory / "tables", **values))
    command = ["kamailio", "-DD", "-E", "-m", "64", "-f", config, "-P", directory / "pid", "-Y", directory]
    return Program("Kamailio", command, directory / "kamailio.log")


@check
def kamailio_publishes_registrations_and_calls(run):
    need("kamailio")
    directory = run.logs / "kamailio"
    directory.mkdir()
    files = {**office.FILES, "beside.toml": TRUSTED + office.FILES["beside.toml"]}
    with ExitStack() as ending:
        server = Server(run.server.binary, files, directory)
        ending.callback(server.stop)
        inner = run.beside(server, directory)
        port = run.free_port()
        kamailio = started(directory, port, WANTED, ["version", "pua"], CONFIG, domain=office.DOMAIN, server=server.udp)
        ending.callback(kamailio.stop)
        carol, dave = (Phone(user, port) for user in USERS)
        lamps = [ending.enter_context(Watcher(inner, "lamp", user)) for user in USERS]
        for lamp in lamps:
            lamp.sees(DARK)
        dave.register(600)
        told(lamps[1], "presence", "open")
        carol.request("INVITE", f"sip:dave@{office.DOMAIN}", f"<sip:dave@{office.DOMAIN}>", "call")
        invite = dave.hears("INVITE")
        dave.answer(invite, "180 Ringing")
        carol.hears("SIP/2.0 180")
        told(lamps[1], "dialog", "early")
        dave.answer(invite, "200 OK")
        answer = carol.hears("SIP/2.0 200")
        remote, way = value(answer, "to")[0], [f"Route: {route}" for route in reversed(value(answer, "record-route"))]
        target = value(answer, "contact")[0].strip("<>")
        carol.request("ACK", target, remote, "call", way, cseq=carol.cseq)
        dave.hears("ACK")
        for lamp in lamps:
            told(lamp, "dialog", "confirmed")
        carol.request("BYE", target, remote, "call", way)
        dave.answer(dave.hears("BYE"), "200 OK")
        carol.hears("SIP/2.0 200")
        for lamp in lamps:
            told(lamp, "dialog", "terminated")
        dave.register(0)
        told(lamps[1], "presence", "closed")
        for lamp in lamps:
            lamp.forget()


def told(lamp, package, word, seconds=15):
    """Documents of this package come to one that says so; Kamailio tells of steps in between as it likes."""
    lamp.comes_to_say(package, word, seconds)
