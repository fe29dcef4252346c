"""Loss, duplication and reordering between the phones and the server, then a partition, then peace: everything that was
acknowledged holds and no lamp is stale. The server stands in one network namespace and the phones in another."""

import os
import threading

from ledger import Ledger
from missing import Missing, need, need_root
from server import Server
from sip import Agent
from tunnel import CLONE_NEWNET, LIBC, Namespace, Tunnel, enter

SERVER, PHONES = "10.9.0.1", "10.9.0.2"


def torment(run):
    need_root()
    need("ip")
    if not os.path.exists("/dev/net/tun"):
        raise Missing("there is no /dev/net/tun")
    mark = os.getpid()
    one = Namespace(f"torment-s{mark}", SERVER, PHONES)
    try:
        other = Namespace(f"torment-p{mark}", PHONES, SERVER)
    except BaseException:
        one.close()
        raise
    tunnel = Tunnel(one, other, run.seed)
    server = Server(run.binary, run.scratch / "net", host=SERVER, before=one.command())
    try:
        between(run, server, other, tunnel)
    finally:
        server.stop()
        tunnel.close()
        one.close()
        other.close()


def between(run, server, phones, tunnel):
    server.start()
    agent = agent_in(phones, server)
    ledger = Ledger(agent, users=6)
    ledger.overtaken = True
    wrong, tried, survived = [], 0, 0
    if not ledger.begin(40):
        wrong.append("the load does not begin")
    for loss, duplication, reordering in [(10, 10, 10), (30, 5, 20)] * run.effort:
        tried += 1
        tunnel.loss, tunnel.duplication, tunnel.reordering, tunnel.delay_ms = loss, duplication, reordering, 20
        ledger.load(5)
        # A partition: shorter than a NOTIFY's patience of 32 s, so the subscriptions stay.
        tunnel.loss = 100
        ledger.load(3)
        tunnel.loss = tunnel.duplication = tunnel.reordering = 0
        if ledger.settle(30):
            survived += 1
        else:
            wrong.append(f"{loss} % loss: {(ledger.lost + ledger.doubled + ledger.stale)[:3]}")
        run.keep(ledger)
    agent.close()
    run.result("net", tried, survived, len(run.losses), f"{tunnel.carried} packets carried, {tunnel.lost} lost; "
               f"{ledger.figures()}; {wrong}", ok=survived == tried and not wrong)


def agent_in(namespace, server):
    """An agent whose socket was made in a namespace, and stays there."""
    back = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
    try:
        enter(f"/var/run/netns/{namespace.name}")
        return Agent(server.address, bind=(PHONES, 0))
    finally:
        LIBC.setns(back, CLONE_NEWNET)
        os.close(back)
