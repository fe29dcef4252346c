"""A bad network between two namespaces, in user space: a TUN device in each, and packets between them that are lost,
doubled, overtaken, delayed, or all lost. No traffic control module of the kernel is needed."""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time

from missing import run

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
LIBC = ctypes.CDLL(None, use_errno=True)


def enter(path):
    """Moves this thread into a network namespace."""
    handle = os.open(path, os.O_RDONLY)
    try:
        if LIBC.setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(handle)


class Namespace:
    def __init__(self, name, address, peer):
        self.name, self.address = name, address
        run("ip", "netns", "add", name)
        home = f"/proc/self/task/{threading.get_native_id()}/ns/net"
        back = os.open(home, os.O_RDONLY)
        try:
            enter(f"/var/run/netns/{name}")
            self.tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.tun, TUNSETIFF, struct.pack("16sH", b"torment0", IFF_TUN | IFF_NO_PI))
            run("ip", "address", "add", f"{address}/32", "peer", peer, "dev", "torment0")
            run("ip", "link", "set", "torment0", "up")
            run("ip", "link", "set", "lo", "up")
        finally:
            if LIBC.setns(back, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns back")
            os.close(back)

    def command(self):
        return ["ip", "netns", "exec", self.name]

    def close(self):
        os.close(self.tun)
        run("ip", "netns", "delete", self.name)


class Tunnel:
    """Carries packets between two namespaces until it is closed; the rates, in percent, may change while it does."""

    def __init__(self, one, other, seed):
        self.ends = {one.tun: other.tun, other.tun: one.tun}
        self.loss = self.duplication = self.reordering = 0
        self.delay_ms, self.random, self.open = 1.0, random.Random(seed), True
        self.carried = self.lost = 0
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    def _hits(self, percent):
        return self.random.random() * 100 < percent

    def _carry(self):
        way, serial = [], 0
        while self.open:
            now = time.monotonic()
            while way and way[0][0] <= now:
                _, _, end, packet = heapq.heappop(way)
                try:
                    os.write(end, packet)
                    self.carried += 1
                except OSError:
                    self.lost += 1
            wait = min(0.02, max(0, way[0][0] - now)) if way else 0.02
            for end in select.select(list(self.ends), [], [], wait)[0]:
                for _ in range(64):
                    try:
                        packet = os.read(end, 65536)
                    except OSError:
                        break
                    for _ in range(2 if self._hits(self.duplication) else 1):
                        if self._hits(self.loss):
                            self.lost += 1
                            continue
                        held = 10 * self.delay_ms if self._hits(self.reordering) else 0
                        at = time.monotonic() + (self.random.random() * self.delay_ms + held) / 1000
                        serial += 1
                        heapq.heappush(way, (at, serial, self.ends[end], packet))

    def close(self):
        self.open = False
        self.thread.join(2)
