"""Nothing is left of what is over: after connects by the thousand, subscriptions that begin and end, and floods of requests
that are refused, memory, descriptors, timers and transactions are within 10 % of where they were."""

import random
import socket
import time

from server import Server
from sip import Agent

# Counts of `status` that are to return to what they were; `timers` where the server tells them.
COUNTS = ("subscriptions", "publications", "bindings", "transactions", "timers", "calls", "passing", "unpersisted")
LIMITS = "[limits]\nsubscription_min_s = 1\npublication_min_s = 1\nregistration_min_s = 1\n"


def torment(run):
    each = 250 * run.effort
    server = Server(run.binary, run.scratch / "leak", more=LIMITS)
    server.start()
    agent = Agent(server.address)
    rng = random.Random(run.seed)
    # Warm: what is allocated once, and kept up to a bound (that a dialog has ended), is no leak. Then as often as asked for.
    cycles(server, agent, each, rng)
    before = rest(server, agent)
    began = time.monotonic()
    refused = cycles(server, agent, each, rng)
    after = rest(server, agent)
    server.stop()
    agent.close()
    grown = {name: (before[name], after[name]) for name in before if after[name] > before[name] * 1.1 + slack(name, each)}
    figures = ", ".join(f"{name} {before[name]} -> {after[name]}" for name in before)
    run.result("leak", 3 * each, 3 * each if not grown else 0, len(grown), f"{each} connects, {each} subscriptions, {each} refused "
               f"in {time.monotonic() - began:.0f} s: {figures}; {agent.unanswered} unanswered, {refused} not connected", ok=not grown and not refused)


def slack(name, each):
    """Counts of a few may differ by a few. In a short run the allocator's arenas are still filling, by less than 2 MiB; in a
    long one 10 % is all."""
    if name == "rss_anon_kib":
        return 2048 if each < 10_000 else 0
    return 2


def rest(server, agent):
    """What it holds when everything has ended: subscriptions (5 s), transactions (32 s), what is told of them."""
    def over():
        status = server.status()
        return all(not status.get(name) for name in COUNTS if name != "timers")
    for _ in range(60):
        if over():
            break
        agent.pump(1)
    status = server.status()
    held = {name: status[name] for name in COUNTS if name in status}
    return {"rss_anon_kib": server.rss_anon_kib(), "descriptors": server.descriptors(), **held}


def cycles(server, agent, each, rng):
    refused = 0
    for number in range(each):
        refused += not connect(server, number)
        user = f"l{rng.randrange(200)}"
        more = ["Event: presence", "Accept: application/pidf+xml", "Expires: 5",
                f"Contact: <sip:{user}@{agent.host}:{agent.port}>"]
        agent.request("SUBSCRIBE", f"sip:l{rng.randrange(200)}@example.com", user, lambda answer: None, agent.token("leak"), 1,
                      agent.token("t"), "", more)
        # Refused: an event package that nobody has.
        agent.request("SUBSCRIBE", "sip:l1@example.com", user, lambda answer: None, agent.token("bad"), 1, "b", "",
                      ["Event: nonsense", f"Contact: <sip:{user}@{agent.host}>"])
        if number % 20 == 19:
            agent.pump(2, lambda: len(agent.pending) < 100)
    agent.pump(60, lambda: not agent.pending)
    return refused


def connect(server, number):
    """A connection that says a little, or nothing, and goes; whether it was taken."""
    try:
        stream = socket.create_connection(server.address, 5)
    except OSError:
        return False
    with stream:
        try:
            stream.sendall(b"\r\n\r\n" if number % 2 else b"SUBSCRIBE sip:a@exa")
        except OSError:
            pass  # it may be closed at once: strangers make room for each other
    return True
