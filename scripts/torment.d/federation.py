"""Two servers of two domains that federate over TLS, in two network namespaces with a bad network between them: phones at
one watch lamps of the other; after loss, a partition and a crash every phone was told what its lamp shows."""

import os
import random
import re
import subprocess
import threading

from missing import Missing, need, need_root
from server import Server
from sip import Agent
from tunnel import LIBC, Namespace, Tunnel, enter

HERE, THERE = "10.9.1.1", "10.9.1.2"
LAMPS, PHONES, PORT = 5, 10, 5061


class Domain(Server):
    """A server of one domain, with a certificate for it, that knows the other."""

    def __init__(self, binary, directory, domain, other, host, other_host, namespace, authority, allow):
        super().__init__(binary, directory, host=host, before=namespace.command())
        certify(directory, domain, authority)
        lamps = "".join(f'"70{n:02d}" = "Custom:lamp{n}"\n' for n in range(LAMPS))
        self.config.write_text(f"""trusted = ["{host}/32"]
[server]
http = "off"
[tls]
certificate = "own.pem"
key = "own.key"
roots = "{authority}.pem"
client_ca = "{authority}.pem"
client_auth = "request"
[federation."{other}"]
proxy = "{other}:{PORT};maddr={other_host}"
allow = {allow}
[domains."{domain}"]
users = "any"
[hints]
{lamps}""")

    def start(self, seconds=20):
        command = [*self.before, self.binary, "run", str(self.config), "--data", str(self.data), "--listen",
                   f"udp:{self.host}:{self.port}", "--listen", f"tls:{self.host}:{PORT}"]
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.env)

    def say(self, *words):
        return subprocess.run([self.binary, *words, "--data", str(self.data)], capture_output=True, text=True, timeout=20)


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def certify(directory, domain, authority):
    own = directory / "own"
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{own}.key", "-out",
            f"{own}.csr", "-subj", f"/CN={domain}")
    extensions = directory / "extensions"
    extensions.write_text(f"subjectAltName=DNS:{domain}\n")
    openssl("x509", "-req", "-in", f"{own}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial",
            "-days", "2", "-extfile", extensions, "-out", f"{own}.pem")


def torment(run):
    need_root()
    need("ip", "openssl")
    if not os.path.exists("/dev/net/tun"):
        raise Missing("there is no /dev/net/tun")
    mark = os.getpid()
    one = Namespace(f"federate-a{mark}", HERE, THERE)
    try:
        other = Namespace(f"federate-b{mark}", THERE, HERE)
    except BaseException:
        one.close()
        raise
    tunnel = Tunnel(one, other, run.seed)
    scratch = run.scratch / "federation"
    scratch.mkdir(parents=True, exist_ok=True)
    authority = scratch / "ca"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout",
            f"{authority}.key", "-out", f"{authority}.pem", "-subj", "/CN=torment")
    servers = []
    try:
        for name, domain, beyond, host, far, space, allow in [
                ("here", "example.com", "b.example", HERE, THERE, one, "[]"),
                ("there", "b.example", "example.com", THERE, HERE, other, '["phone* = 70*"]')]:
            (scratch / name).mkdir(exist_ok=True)
            servers.append(Domain(run.binary, scratch / name, domain, beyond, host, far, space, authority, allow))
            servers[-1].start()
        between(run, *servers, one, tunnel)
    finally:
        for server in servers:
            if server.child is not None:
                server.stop()
        tunnel.close()
        one.close()
        other.close()


def between(run, here, there, space, tunnel):
    agent = agent_in(space, here)
    shown, chance = {}, random.Random(run.seed)

    def on_notify(message):
        state = re.search(r"<state>(\w+)</state>", message.body)
        if state:
            shown[message.get("call-id")] = state.group(1)
        return 200

    agent.on_notify = on_notify
    for n in range(PHONES):
        lamp, contact = f"70{n % LAMPS:02d}", f"<sip:phone{n}@{agent.host}:{agent.port}>"
        agent.request("SUBSCRIBE", f"sip:{lamp}@b.example", f"phone{n}", lambda _: None, f"watch{n}", 1, f"t{n}", more=[
            f"Contact: {contact}", "Event: dialog", "Expires: 3600"])
    wanted, changes, wrong, tried, survived = {}, 0, [], 0, 0

    def change():
        for n in range(LAMPS):
            word, state = chance.choice([("INUSE", "confirmed"), ("RINGING", "early"), ("NOT_INUSE", "terminated")])
            said = there.say("devstate", "set", f"Custom:lamp{n}", word)
            if said.returncode != 0:
                wrong.append(said.stderr.strip())
            wanted[n] = state

    def holds():
        return all(shown.get(f"watch{n}") == wanted[n % LAMPS] for n in range(PHONES))

    agent.pump(1)
    change()
    if not agent.pump(60, holds):
        wrong.append(f"the phones are not told at first: {shown}, not {wanted}")
    for loss, duplication, reordering in [(5, 5, 10), (15, 5, 20)] * run.effort:
        for crash in (None, here, there):
            tried += 1
            tunnel.loss, tunnel.duplication, tunnel.reordering, tunnel.delay_ms = loss, duplication, reordering, 20
            for _ in range(5):
                change()
                changes += LAMPS
                agent.pump(0.5)
            tunnel.loss = 100
            agent.pump(2)
            if crash is not None:
                crash.kill()
                crash.start()
                agent.pump(2)
            tunnel.loss = tunnel.duplication = tunnel.reordering = 0
            change()
            # A connection that was cut is found out by TCP, and a subscription that was lost by its refresh.
            if agent.pump(90, holds):
                survived += 1
            else:
                wrong.append(f"{loss} % loss, {'no crash' if crash is None else crash.data.parent.name}: {shown}, not {wanted}")
    agent.close()
    run.result("federation", tried, survived, len(run.losses), f"{tunnel.carried} packets carried, {tunnel.lost} lost; {changes} "
               f"changes, {PHONES} phones; {wrong}", ok=survived == tried and not wrong)


def agent_in(namespace, server):
    """An agent whose socket was made in a namespace, and stays there."""
    back = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
    try:
        enter(f"/var/run/netns/{namespace.name}")
        return Agent(server.address, bind=(HERE, 0))
    finally:
        LIBC.setns(back, 0x40000000)
        os.close(back)
