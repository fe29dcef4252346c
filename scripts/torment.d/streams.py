"""Storms of TCP connections: reset in the middle of a message, left half-open, never read, by the hundred. In between, an
honest phone over UDP and one over TCP are answered, and when it is over nothing is left of the storm."""

import random
import socket
import struct
import time

from server import Server
from sip import Agent, Message

REQUEST = ("OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK{n}\r\nFrom: "
           "<sip:storm@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: storm-{n}\r\nCSeq: 1 OPTIONS\r\n"
           "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n")


def torment(run):
    rounds, rng = 600 * run.effort, random.Random(run.seed)
    server = Server(run.binary, run.scratch / "streams")
    server.start()
    agent = Agent(server.address)
    before = server.descriptors()
    answered = honest = 0
    held, slowest = [], 0.0
    for number in range(rounds):
        way = rng.randrange(5)
        # The storm comes from many addresses; the honest one from another.
        stream = connect(server, "127.0.0.1" if way == 4 else f"127.0.{rng.randrange(1, 8)}.{rng.randrange(1, 250)}")
        data = REQUEST.format(n=number).encode()
        if stream is None:
            honest += way == 4
            continue
        try:
            if way == 0:  # reset in the middle of a message
                stream.sendall(data[:rng.randrange(1, len(data))])
                reset(stream)
            elif way == 1:  # reset with answers on their way
                stream.sendall(data * 20)
                reset(stream)
            elif way == 2:  # half-open: never says anything more
                stream.sendall(data[:40])
                held.append(stream)
            elif way == 3:  # never reads
                stream.setblocking(False)
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                try:
                    for _ in range(50):
                        stream.send(data * 50)
                except OSError:
                    pass
                held.append(stream)
            else:  # an honest one
                stream.sendall(data)
                stream.settimeout(5)
                honest += 1
                answered += Message(stream.recv(65536)).status is not None
                stream.close()
        except OSError:
            stream.close()
        if number % 50 == 49:
            honest += 1
            began, ok = time.monotonic(), []
            agent.request("OPTIONS", "sip:example.com", "honest", ok.append, agent.token("o"), 1, "h")
            agent.pump(5, lambda: ok)
            slowest = max(slowest, time.monotonic() - began)
            answered += bool(ok and ok[0])
        if len(held) > 150:
            for stream in held[:100]:
                reset(stream)
            del held[:100]
    for stream in held:
        reset(stream)
    agent.pump(10, lambda: server.descriptors() <= before + 2)
    left, alive = server.descriptors() - before, server.runs()
    server.stop()
    run.result("streams", rounds, rounds if alive else 0, honest - answered, f"{honest} honest requests, {answered} answered, "
               f"the slowest over UDP in {1000 * slowest:.0f} ms, {left} descriptors left of the storm",
               ok=alive and honest == answered and left <= 2)


def connect(server, source):
    try:
        return socket.create_connection(server.address, 5, (source, 0))
    except OSError:
        return None


def reset(stream):
    try:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    finally:
        stream.close()
