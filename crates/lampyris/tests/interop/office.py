"""The configuration of an interop run: the founding scenario's two Asterisk files, and peers for each program."""

DOMAIN = "example.test"

# The founding scenario, as written; its three secrets come from the TOML file beside it.
FOUNDING = ["Alice", "Bob-mobile", "Bob-desk"]
PEERS = ["reg-udp", "reg-tcp", "pub-udp", "pub-tcp", "watch-udp", "watch-tcp",
         "carol", "dave", "erin", "frank"]
MAILBOX = "100@default"
LAMPS = [f"70{n:02d}" for n in range(10)]


def secret(user):
    return f"secret-of-{user}"


def lamp_device(lamp):
    return f"Custom:lamp{lamp[2:]}"


SIP_CONF = f"""[general]
callcounter=yes
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

SECRETS_TOML = "".join(f'[peers.{peer}]\nsecret = "{secret(peer)}"\n\n' for peer in FOUNDING)

FILES = {"sip.conf": SIP_CONF, "extensions.conf": EXTENSIONS_CONF, "secrets.toml": SECRETS_TOML}
