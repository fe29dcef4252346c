"""A linphone whose person says what they do: the library of linphonec, which has no command for that.

  liblinphone.py CONFIG

Reads lines on standard input: `online`, `busy` or `away` sets the status, `quit` ends it."""

import ctypes
import glob
import select
import sys

# LinphonePresenceActivityType, in the library's order.
ACTIVITIES = {"away": 1, "busy": 3}
ONLINE = 0  # LinphoneConsolidatedPresence


def library():
    """The library of linphonec; `None` where there is none."""
    found = sorted(glob.glob("/usr/lib/*/liblinphone.so.*") + glob.glob("/usr/lib/liblinphone.so.*"))
    return ctypes.CDLL(found[0]) if found else None


def main(config):
    linphone = library()
    for name in ("linphone_factory_get", "linphone_factory_create_core_3", "linphone_presence_model_new_with_activity"):
        getattr(linphone, name).restype = ctypes.c_void_p
    factory = ctypes.c_void_p(linphone.linphone_factory_get())
    core = linphone.linphone_factory_create_core_3(factory, config.encode(), None, None)
    core = ctypes.c_void_p(core)
    linphone.linphone_core_start(core)
    while True:
        linphone.linphone_core_iterate(core)
        if not select.select([sys.stdin], [], [], 0.02)[0]:
            continue
        word = sys.stdin.readline().strip()
        if word in ACTIVITIES:
            model = linphone.linphone_presence_model_new_with_activity(ACTIVITIES[word], None)
            linphone.linphone_core_set_presence_model(core, ctypes.c_void_p(model))
        elif word == "online":
            linphone.linphone_core_set_consolidated_presence(core, ONLINE)
        else:
            break
        print(f"said {word}", flush=True)
    linphone.linphone_core_stop(core)


if __name__ == "__main__":
    main(sys.argv[1])
