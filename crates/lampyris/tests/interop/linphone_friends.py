#!/usr/bin/env python3
"""liblinphone with a list of friends, which linphonec cannot be told to have: a process of its own, since some lists crash it.

  linphone_friends.py RC HOME RLS_URI brought|kept URI...

RLS_URI is what it subscribes to; `brought` sends the friends along (RFC 5367), `kept` leaves them to the server. Prints
`URI open`, `URI closed` or `URI none` whenever that changes, and ends when its input does."""

import ctypes
import os
import select
import sys
import time


def main(rc, home, rls_uri, kind, *uris):
    lib = ctypes.CDLL("liblinphone.so.10")
    pointer = ctypes.c_void_p

    def call(name, *arguments, gives=pointer):
        function = getattr(lib, f"linphone_{name}")
        function.restype = gives
        return function(*(pointer(a) if isinstance(a, int) and a > 2**31 else a for a in arguments))

    factory = call("factory_get")
    core = call("factory_create_core_3", factory, rc.encode(), None, None)
    # Its own default is the name of this program; what is built on it says Linphone.
    call("core_set_user_agent", core, b"LinphoneFriends", b"5.1", gives=None)
    call("core_start", core, gives=ctypes.c_int)
    friends = call("core_create_friend_list", core)
    call("friend_list_set_rls_uri", friends, rls_uri.encode(), gives=None)
    call("friend_list_set_subscription_bodyless", friends, 1 if kind == "kept" else 0, gives=None)
    for uri in uris:
        friend = call("core_create_friend_with_address", core, uri.encode())
        call("friend_enable_subscribes", friend, 1, gives=ctypes.c_int)
        call("friend_list_add_friend", friends, friend, gives=ctypes.c_int)
    call("core_add_friend_list", core, friends, gives=None)
    said, asked, until = {}, False, time.monotonic() + 120
    started = time.monotonic()
    while time.monotonic() < until:
        call("core_iterate", core, gives=None)
        # Why: it takes a list only after it has registered.
        if not asked and time.monotonic() > started + 2:
            call("friend_list_enable_subscriptions", friends, 1, gives=None)
            call("friend_list_update_subscriptions", friends, gives=None)
            asked = True
        for uri in uris:
            friend = call("friend_list_find_friend_by_uri", friends, uri.encode())
            model = call("friend_get_presence_model_for_uri_or_tel", friend, uri.encode()) if friend else None
            status = call("presence_model_get_basic_status", model, gives=ctypes.c_int) if model else None
            now = {None: "none", 0: "open"}.get(status, "closed")
            if said.get(uri) != now:
                said[uri] = now
                print(uri, now, flush=True)
        if select.select([sys.stdin], [], [], 0.02)[0] and not os.read(0, 100):
            break
    call("friend_list_enable_subscriptions", friends, 0, gives=None)
    for _ in range(50):
        call("core_iterate", core, gives=None)
        time.sleep(0.02)
    call("core_stop", core, gives=None)
    print("stopped", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
