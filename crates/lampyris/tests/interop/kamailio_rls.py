"""The gateway file that FreeSWITCH's documentation prints, all three subscriptions of it, against Kamailio's `presence` and
`rls`: presence, dialog and a list arrive, and the lamps here follow."""

from contextlib import ExitStack
from pathlib import Path

import office
from checks import check
from kamailio import Phone, started
from kamailio_presence import TABLES, WANTED, until
from programs import Failure, Server, need, wait_until

SEED = Path(__file__).resolve().parent.parent / "fixtures/freeswitch/fs2.xml"
DOMAIN = "192.168.7.2"

CONFIG = """alias={domain}
modparam("presence", "db_url", "text://{tables}")
modparam("presence", "subs_db_mode", 0)
modparam("presence", "server_address", "sip:127.0.0.1:{port}")
modparam("presence_xml", "db_url", "text://{tables}")
modparam("presence_xml", "force_active", 1)
modparam("pua", "db_url", "text://{tables}")
modparam("pua", "db_mode", 0)
modparam("rls", "db_url", "text://{tables}")
modparam("rls", "xcap_db_url", "text://{tables}")
modparam("rls", "db_mode", 0)
modparam("rls", "server_address", "sip:rls@127.0.0.1:{port}")
modparam("rls", "outbound_proxy", "sip:127.0.0.1:{port}")
modparam("rls", "integrated_xcap_server", 1)
modparam("rls", "to_presence_code", 10)
modparam("rls", "waitn_time", 1)
request_route {{
    if (is_method("PUBLISH")) {{
        if (!t_newtran()) {{ sl_reply_error(); exit; }}
        handle_publish(); exit;
    }}
    if (is_method("NOTIFY")) {{ rls_handle_notify(); exit; }}
    if (is_method("SUBSCRIBE")) {{
        if (!has_totag() && $sp != {port}) {{
            if (!pv_auth_check("{domain}", "1234", "0", "0")) {{ auth_challenge("{domain}", "1"); exit; }}
            $ru = "sip:" + $tU + "@{domain}";
            if ($hdr(Supported) =~ "eventlist") $ru = "sip:team@{domain}";
        }}
        if (!t_newtran()) {{ sl_reply_error(); exit; }}
        $var(whose) = rls_handle_subscribe();
        if ($var(whose) == 10) handle_subscribe();
        exit;
    }}
    sl_send_reply("405", "Not here");
}}
"""

SERVICES = ('<?xml version="1.0" encoding="UTF-8"?><rls-services xmlns="urn:ietf:params:xml:ns:rls-services" '
            'xmlns:rl="urn:ietf:params:xml:ns:resource-lists"><service uri="sip:team@{domain}"><list>'
            '<rl:entry uri="sip:dave@{domain}"/><rl:entry uri="sip:erin@{domain}"/></list>'
            '<packages><package>presence</package></packages></service></rls-services>')

HERE = """
[gateways.fs2]
proxy = "127.0.0.1:{port}"
map = ["1000 = lamp", "dave = carol", "erin = erin"]
[contexts.default.hints]
"7999" = "SIP/lamp"
"""

DIALOG = ('<?xml version="1.0"?><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" state="full" '
          'entity="{aor}"><dialog id="d1" call-id="c1" local-tag="l" remote-tag="r" direction="recipient">'
          '<state>{state}</state></dialog></dialog-info>')
PIDF = ('<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{aor}"><tuple id="t"><status>'
        '<basic>{state}</basic></status><note>{state} at Kamailio</note></tuple></presence>')
TYPES = {"dialog": ("application/dialog-info+xml", DIALOG), "presence": ("application/pidf+xml", PIDF)}


def with_list(directory, port):
    services = SERVICES.format(domain=DOMAIN).replace(":", "\\:")
    rows = {"xcap": f"1:1000:{DOMAIN}:{services}:8:e1:0:/rls-services/index:0\n"}
    tables = [*TABLES, "pua", "rls_presentity", "rls_watchers"]
    return started(directory, port, [*WANTED, "pua", "rls"], tables, CONFIG, domain=DOMAIN, rows=rows)


class Publisher(Phone):
    """Phones at Kamailio that publish."""

    def __init__(self, user, port):
        super().__init__(user, port)
        self.etags = {}

    def publish(self, package, state):
        content_type, document = TYPES[package]
        aor = f"sip:{self.user}@{DOMAIN}"
        self.cseq += 1
        body = document.format(aor=aor, state=state, version=self.cseq)
        etag = self.etags.get(package)
        lines = [f"PUBLISH {aor} SIP/2.0", f"Via: SIP/2.0/UDP {self.at};branch=z9hG4bK{self.user}{self.cseq};rport",
                 "Max-Forwards: 70", f"From: <{aor}>;tag={self.user}", f"To: <{aor}>", f"Call-ID: {package}-{self.at}",
                 f"CSeq: {self.cseq} PUBLISH", f"Event: {package}", "Expires: 600", f"Content-Type: {content_type}",
                 *([f"SIP-If-Match: {etag}"] if etag else []), f"Content-Length: {len(body)}", "", body]
        self.send("\r\n".join(lines))
        head = self.hears("SIP/2.0 200")
        self.etags[package] = next(line.partition(":")[2].strip() for line in head if line.lower().startswith("sip-etag:"))


@check
def the_seeds_gateway_file_watches_kamailio(run):
    need("kamailio")
    directory = run.logs / "kamailio-rls"
    directory.mkdir()
    port = run.free_port()
    seed = SEED.read_text().replace("<!-- <subscription", "<subscription").replace("</subscription> -->", "</subscription>")
    with ExitStack() as ending:
        kamailio = with_list(directory, port)
        ending.callback(kamailio.stop)
        toml = 'freeswitch_gateways = "config/fs2.xml"\n' + office.FILES["beside.toml"] + HERE.format(port=port)
        server = Server(run.server.binary, {**office.FILES, "fs2.xml": seed, "beside.toml": toml}, directory)
        ending.callback(server.stop)

        def subscribed():
            rows = [line for line in server.ask("gateways").splitlines() if line.startswith("fs2")]
            return len(rows) == 3 and all(" SUBED" in row for row in rows)

        wait_until(subscribed, "presence, dialog and eventlist are subscribed to", 60)
        desk, dave, erin = (Publisher(user, port) for user in ("1000", "dave", "erin"))
        for state, lamp in [("early", "Ringing"), ("confirmed", "InUse"), ("terminated", "Unavailable")]:
            desk.publish("dialog", state)
            until(server, ["show", "hint", "7999"], [lamp])
        desk.publish("presence", "open")
        until(server, ["why", "lamp"], ["gateway fs2", "open at Kamailio"])
        for state in ("open", "closed", "open"):
            dave.publish("presence", state)
            until(server, ["why", "carol"], ["gateway fs2", f"{state} at Kamailio"])
        erin.publish("presence", "open")
        until(server, ["why", "erin"], ["gateway fs2", "open at Kamailio"])
        events = server.ask("gateways")
        if "list" not in events:
            raise Failure(f"no list among the gateways: {events}")
