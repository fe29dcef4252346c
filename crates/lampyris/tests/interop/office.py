"""The configuration of an interop run: the founding scenario's two Asterisk files, and peers for each program."""

DOMAIN = "example.test"

# The founding scenario, as written; its three secrets come from the TOML file beside it.
FOUNDING = ["Alice", "Bob-mobile", "Bob-desk"]
PEERS = ["reg-udp", "reg-tcp", "pub-udp", "pub-tcp", "watch-udp", "watch-tcp",
         "carol", "dave", "erin", "frank", "grace", "heidi", "gina", "hank", "ivan", "judy"]

# A check about calls has three phones (`NAME-caller`, `NAME-called`, `NAME-third`) and an extension for `NAME-called`.
CALLS = ["answered", "busy", "cancelled", "held", "twice", "restarted", "session", "stream", "silent", "dead", "alive",
         "bare", "bare-transfer", "mixed", "lin-transfer", "attended", "replaces", "no-replaces", "bare-pickup"]
PEERS += ["lamp"] + [f"{name}-{role}" for name in CALLS for role in ("caller", "called", "third")]
MAILBOX = "100@default"
LAMPS = [f"70{n:02d}" for n in range(10)]


def secret(user):
    return f"secret-of-{user}"


def lamp_device(lamp):
    return f"Custom:lamp{lamp[2:]}"


def extension(name):
    return str(8000 + CALLS.index(name))


SIP_CONF = f"""[general]
callcounter=yes
notifyhold=yes
domain={DOMAIN}

[Alice]
type=friend
subscribecontext=default
allowsubscribe=yes

[Bob-mobile]
type=friend
busylevel=1

[Bob-desk]
type=friend
busylevel=1

""" + "".join(f"[{peer}]\ntype=friend\nhost=dynamic\nsecret={secret(peer)}\n\n" for peer in PEERS)
SIP_CONF += f"[mail-udp]\ntype=friend\nhost=dynamic\nsecret={secret('mail-udp')}\nmailbox={MAILBOX}\n"

EXTENSIONS_CONF = """[default]
exten = 6001,hint,SIP/Bob-mobile&SIP/Bob-desk
""" + "".join(f"exten = {lamp},hint,{lamp_device(lamp)}\n" for lamp in LAMPS)
EXTENSIONS_CONF += "".join(f"exten = {extension(name)},hint,SIP/{name}-called\n" for name in CALLS)

SECRETS_TOML = "".join(f'[peers.{peer}]\nsecret = "{secret(peer)}"\n\n' for peer in FOUNDING)

# A phone that takes its time to ring, on a busy machine, still goes straight to ringing.
CALLS_TOML = "[calls]\nsettle_ms = 3000\n"
# As short as a configuration may make it.
PROBING_TOML = CALLS_TOML + "probe_after_s = 10\nprobe_every_s = 10\n"

# Of users, and one that is not there.
LISTS_TOML = '[lists.friends]\nmembers = ["hank", "sip:nobody@%s"]\n' % DOMAIN
LISTS_TOML += '[lists.board]\nmembers = ["7008", "7009"]\n'

FILES = {"sip.conf": SIP_CONF, "extensions.conf": EXTENSIONS_CONF, "beside.toml": SECRETS_TOML + CALLS_TOML + LISTS_TOML}
