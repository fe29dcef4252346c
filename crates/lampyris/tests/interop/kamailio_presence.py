"""Kamailio's `presence` is the server that we watch, and publish to, by a gateway: it asks for a password, holds what a
phone publishes to it, and the lamp here follows; and who watches there sees the lamp that is here."""

import json
import os
import subprocess
import time
from contextlib import ExitStack

import office
from checks import check
from kamailio import Phone, started
from programs import Failure, Server, need, wait_until

WANTED = ["db_text", "tm", "sl", "rr", "pv", "siputils", "textops", "maxfwd", "auth", "presence", "presence_xml",
          "presence_dialoginfo"]

TABLES = ["version", "presentity", "active_watchers", "watchers", "xcap"]

CONFIG = """modparam("presence", "db_url", "text://{tables}")
modparam("presence", "subs_db_mode", 0)
modparam("presence", "server_address", "sip:127.0.0.1:{port}")
modparam("presence_xml", "db_url", "text://{tables}")
modparam("presence_xml", "force_active", 1)
request_route {{
    if (is_method("PUBLISH")) {{
        if ($fU == "1000" && !pv_auth_check("watched.test", "1234", "0", "0")) {{ auth_challenge("watched.test", "1"); exit; }}
        if (!t_newtran()) {{ sl_reply_error(); exit; }}
        handle_publish(); exit;
    }}
    if (is_method("SUBSCRIBE")) {{
        if (!has_totag() && $fU != "dave" && !pv_auth_check("watched.test", "1234", "0", "0")) {{ auth_challenge("watched.test", "1"); exit; }}
        if (!t_newtran()) {{ sl_reply_error(); exit; }}
        handle_subscribe(); exit;
    }}
    sl_send_reply("405", "Not here");
}}
"""

DIALOG = """<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" state="full" entity="sip:dave@{at}">
<dialog id="d1" call-id="c1" local-tag="l" remote-tag="r" direction="recipient"><state>{state}</state></dialog>
</dialog-info>"""

HERE = """
[gateways.kamailio]
realm = "watched.test"
username = "1000"
secret = "1234"
proxy = "127.0.0.1:{port}"
map = ["dave = lamp"]
[subscriptions.calls]
gateway = "kamailio"
event = "dialog"
uris = ["sip:dave@127.0.0.1:{port}"]
expires_s = 60
retry_s = 10
[subscriptions.presence]
gateway = "kamailio"
uris = ["sip:dave@127.0.0.1:{port}"]
retry_s = 10
[contexts.default.hints]
"7999" = "SIP/lamp"
"""


def publish(dave, port, state, version, etag):
    """dave's phone says how its call is; its entity-tag at Kamailio."""
    body = DIALOG.format(state=state, version=version, at=f"127.0.0.1:{port}")
    aor = f"sip:dave@127.0.0.1:{port}"
    dave.cseq += 1
    lines = [f"PUBLISH {aor} SIP/2.0", f"Via: SIP/2.0/UDP {dave.at};branch=z9hG4bKpublish{dave.cseq};rport",
             "Max-Forwards: 70", f"From: <{aor}>;tag=dave", f"To: <{aor}>", f"Call-ID: publish-{dave.at}",
             f"CSeq: {dave.cseq} PUBLISH", "Event: dialog", "Expires: 600", "Content-Type: application/dialog-info+xml",
             *([f"SIP-If-Match: {etag}"] if etag else []), f"Content-Length: {len(body)}", "", body]
    dave.send("\r\n".join(lines))
    head = dave.hears("SIP/2.0 200")
    return next(line.partition(":")[2].strip() for line in head if line.lower().startswith("sip-etag:"))


def until(server, words, wanted, seconds=20):
    """Asks the server until what it prints has all of these in it."""
    said = f"`{' '.join(words)}` says {wanted}"
    wait_until(lambda: all(part in server.ask(*words) for part in wanted), said, seconds)


@check
def kamailio_is_watched_and_published_to_by_the_command_line(run):
    need("kamailio")
    directory = run.logs / "kamailio-verbs"
    directory.mkdir()
    port = run.free_port()
    uri = f"sip:erin@127.0.0.1:{port}"
    environment = {**os.environ, "LAMPYRIS_PASSWORD": "1234"}

    def verb(*words, user=("--user", "1000"), ends=0):
        command = [run.server.binary, *words, *user]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        if done.returncode != ends:
            raise Failure(f"{' '.join(words)}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def answers():
        return json.loads(subprocess.run([run.server.binary, "probe", uri, "--json", "--wait", "1"], env=environment,
                                         capture_output=True, text=True, timeout=60).stdout).get("answers")

    with ExitStack() as ending:
        kamailio = started(directory, port, WANTED, TABLES, CONFIG)
        ending.callback(kamailio.stop)
        wait_until(answers, "Kamailio answers the probe", 60)
        etag = json.loads(verb("publish", uri, "away", "--note", "Lunch", "--once", "--json"))["etag"]
        seen = verb("watch", uri, "--once")
        if 'away  "Lunch"' not in seen:
            raise Failure(f"watch printed {seen}")
        if "give --user" not in verb("watch", uri, "--once", user=(), ends=1):
            raise Failure("who gave no password was not told so")
        report = json.loads(verb("probe", uri, "--json", "--event", "presence", "--event", "dialog"))
        statuses = [tried["status"] for tried in report["subscriptions"]]
        if statuses != [200, 200] and statuses != [202, 202]:
            raise Failure(f"probe saw {statuses}")
        verb("publish", uri, "--remove", "--etag", etag)


@check
def kamailio_is_watched_by_a_gateway(run):
    need("kamailio")
    directory = run.logs / "kamailio-presence"
    directory.mkdir()
    port = run.free_port()
    with ExitStack() as ending:
        kamailio = started(directory, port, WANTED, TABLES, CONFIG)
        ending.callback(kamailio.stop)
        files = {**office.FILES, "beside.toml": office.FILES["beside.toml"] + HERE.format(port=port)}
        server = Server(run.server.binary, files, directory)
        ending.callback(server.stop)
        until(server, ["gateways"], ["SUBED  "], 60)
        dave = Phone("dave", port)
        etag = None
        for version, (state, lamp) in enumerate([("early", "Ringing"), ("confirmed", "InUse")]):
            etag = publish(dave, port, state, version, etag)
            until(server, ["show", "hint", "7999"], [lamp])
        # What the other server said holds over a crash of ours, and goes on in the same dialog.
        server.crash_and_restart()
        until(server, ["gateways"], ["SUBED  "], 60)
        until(server, ["show", "hint", "7999"], ["InUse"])
        publish(dave, port, "terminated", 2, etag)
        until(server, ["show", "hint", "7999"], ["Unavailable"])


PUBLISHED = """
[gateways.kamailio]
realm = "watched.test"
username = "1000"
secret = "1234"
proxy = "127.0.0.1:{port}"
[publications.calls]
gateway = "kamailio"
event = "dialog"
who = ["7999"]
map = ["* = sip:*@127.0.0.1:{port}"]
expires_s = 60
retry_s = 10
[publications.presence]
gateway = "kamailio"
who = ["7999"]
map = ["* = sip:*@127.0.0.1:{port}"]
retry_s = 10
[contexts.default.hints]
"7999" = "SIP/lamp&Custom:beside"
"""


def told(dave, package, word, seconds=20):
    """Takes NOTIFYs of this package until one says so."""
    deadline = time.monotonic() + seconds
    last = "nothing"
    while time.monotonic() < deadline:
        try:
            text = dave.socket.recv(65536).decode()
        except TimeoutError:
            continue
        head, _, body = text.partition("\r\n\r\n")
        lines = head.split("\r\n")
        if not lines[0].startswith("NOTIFY"):
            continue
        dave.answer(lines, "200 OK")
        if f"event: {package}" in head.lower() and body:
            last = body
            if word in body:
                return
    raise Failure(f"who watches {package} at Kamailio is not told `{word}`; the last document: {last}")


@check
def who_watches_at_kamailio_sees_lamps_of_here(run):
    need("kamailio")
    directory = run.logs / "kamailio-receiver"
    directory.mkdir()
    port = run.free_port()
    with ExitStack() as ending:
        kamailio = started(directory, port, WANTED, TABLES, CONFIG)
        ending.callback(kamailio.stop)
        files = {**office.FILES, "beside.toml": office.FILES["beside.toml"] + PUBLISHED.format(port=port)}
        server = Server(run.server.binary, files, directory)
        ending.callback(server.stop)
        server.ask("devstate", "set", "Custom:beside", "INUSE")
        until(server, ["gateways"], ["publish presence", " PUBED"], 60)
        until(server, ["why", "7999"], ["kamailio", f"sip:7999@127.0.0.1:{port}"])
        dave = Phone("dave", port)
        watched = f"sip:7999@127.0.0.1:{port}"
        for package in ("presence", "dialog"):
            dave.request("SUBSCRIBE", watched, f"<{watched}>", f"watch-{package}-{dave.at}",
                         [f"Event: {package}", "Expires: 600"])
        told(dave, "presence", "open")
        server.ask("devstate", "set", "Custom:beside", "RINGING")
        told(dave, "dialog", "early")
        # What was published before a crash is changed by its entity-tag, and taken back where there is nothing to tell.
        server.crash_and_restart()
        until(server, ["gateways"], [" PUBED"], 60)
        server.ask("devstate", "set", "Custom:beside", "INUSE")
        told(dave, "dialog", "confirmed")
        server.ask("devstate", "clear", "Custom:beside")
        until(server, ["gateways"], ["UNPUBED"], 60)
