"""One person, everybody who watches, one state: Bob's desk phone has a call, his mobile publishes, and he has said
something by command; linphone, SIP.js in a browser and a phone's lamp show the same at every step, somebody who is
politely blocked sees a Bob who is not there, and `lampyris why` says why."""

import json
import re
import time

import linphone
import office
from browser import Site, chromium, package
from checks import check
from programs import Failure, Server, need
from sipp import Scenario
from sipp_calls import CallScenario
from stage import SippPhone
from watcher import DARK, Watcher

PHONES = ("bob-desk", "bob-mobile", "anna", "web", "lamp", "mallory", "caller")
SIP_CONF = f"[general]\ncallcounter=yes\nnotifyhold=yes\ndomain={office.DOMAIN}\n\n" + "".join(
    f"[{name}]\ntype=friend\nhost=dynamic\nsecret={office.secret(name)}\n\n" for name in PHONES)
PEOPLE = office.CALLS_TOML + """[people.bob]
peers = ["bob-desk", "bob-mobile"]
extensions = "6001"
composition = "office"
[composition.office]
base = "union"
call_beats_away = true
dnd_beats_all = true
"""
FILES = {"sip.conf": SIP_CONF, "extensions.conf": "[default]\nexten = 6001,hint,SIP/bob-desk\n", "beside.toml": PEOPLE}

PAGE = """<!doctype html><meta charset="utf-8"><title>phone</title><script type="module">
import { Subscriber, UserAgent } from "/package/lib/index.js";
const tell = (who, what) => fetch("/told", { method: "POST", body: JSON.stringify([who, String(what)]) });
window.addEventListener("error", (event) => tell("page", event.message));
window.addEventListener("unhandledrejection", (event) => tell("page", event.reason));
const agent = new UserAgent({
  uri: UserAgent.makeURI("sip:web@DOMAIN"),
  transportOptions: { server: SERVER, keepAliveInterval: 1 },
  authorizationUsername: "web",
  authorizationPassword: SECRET,
  logLevel: "warn",
});
await agent.start();
const watch = new Subscriber(agent, UserAgent.makeURI("sip:bob@DOMAIN"), "presence",
  { extraHeaders: ["Accept: application/pidf+xml"] });
watch.delegate = { onNotify: async (notify) => {
  await notify.accept();
  // What a page would show: whether somebody can be reached, what they do, and their own words.
  const document = new DOMParser().parseFromString(notify.request.body, "application/xml");
  const all = (name) => [...document.getElementsByTagNameNS("*", name)];
  const open = all("basic").some((basic) => basic.textContent === "open") ? "open" : "closed";
  const doing = all("activities").flatMap((activities) => [...activities.children].map((child) => child.localName));
  const notes = all("note").map((note) => note.textContent);
  await tell("web", [open, ...new Set([...doing, ...notes])].join(" | "));
} };
await watch.subscribe();
</script>
"""


class Watchers:
    """Everybody who watches Bob, by another of his names each, with another program."""

    def __init__(self, anna, site, lamp):
        self.anna, self.site, self.lamp = anna, site, lamp

    @staticmethod
    def word(lines):
        """What linphone last said of Bob."""
        said = [re.search(rf"<sip:bob@{re.escape(office.DOMAIN)}> is (.*)$", line) for line in lines]
        return next((found.group(1) for found in reversed(said) if found), None)

    def see(self, linphone, web, dialog, lacks=()):
        """All of them show this, at once: linphone its word, the page these parts, the lamp this dialog state."""
        self.anna.wait_until(lambda lines: self.word(lines) == linphone, f"Bob being `{linphone}`")
        self.page(*web, lacks=lacks)
        if self.lamp.shown.get("dialog") != dialog:
            self.lamp.comes_to_say("dialog", dialog, 15)
            self.lamp.shown["dialog"] = dialog

    def page(self, *parts, lacks=()):
        """The page's newest view of Bob has all these parts."""
        def holds():
            views = [what.split(" | ") for who, what in self.site.server.told if who == "web"]
            return views and all(part in views[-1] for part in parts) and not any(part in views[-1] for part in lacks)
        deadline = time.monotonic() + 15
        with self.site.server.news:
            while not holds():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Failure(f"the page did not show {parts}: {self.site.server.told}")
                self.site.server.news.wait(left)


def published(basic, activity, note):
    entity = f"sip:bob-mobile@{office.DOMAIN}"
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<presence xmlns="urn:ietf:params:xml:ns:pidf" '
            'xmlns:d="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" '
            f'entity="{entity}"><tuple id="mobile"><status><basic>{basic}</basic></status></tuple>'
            f'<d:person id="bob"><r:activities><r:{activity}/></r:activities><d:note>{note}</d:note></d:person></presence>')


def explained(text, *rows):
    """`lampyris why` has a line for each of these rows, whose cells stand in this order."""
    for row in rows:
        if not any(re.search("  +".join(row), line) for line in text.splitlines()):
            raise Failure(f"`why` has no line like {row}:\n{text}")


@check
def a_person_is_one_everywhere(run):
    need("sipp", "linphonec")
    directory = run.logs / "acceptance"
    directory.mkdir()
    package(directory)
    server = Server(run.server.binary, FILES, directory, more=("ws",))
    inner = run.beside(server, directory)
    programs = []
    try:
        server.ask("polite-block", "bob", "mallory")
        page = PAGE.replace("SERVER", json.dumps(f"ws://127.0.0.1:{server.ports['ws']}")).replace("DOMAIN", office.DOMAIN)
        (directory / "phone.html").write_text(page.replace("SECRET", json.dumps(office.secret("web"))))
        site = Site(directory)
        programs.append(chromium(site.url, directory))
        anna = linphone.start(inner, "anna", run.free_port(), watched=["bob"])
        programs.append(anna)
        linphone.registered(anna, "anna")
        with Watcher(inner, "lamp", "6001") as lamp, Watcher(inner, "mallory", "6001") as mallory:
            lamp.forget()  # what it is told of Bob's presence is not looked at
            mallory.sees(DARK)  # and nothing after that, or its end fails
            a_day_of_bob(inner, server, Watchers(anna, site, lamp), programs)
        if any(who == "page" for who, _ in site.server.told):
            raise Failure(f"the page complains: {site.server.told}")
        site.server.shutdown()
    finally:
        for program in reversed(programs):
            program.stop()
        server.stop()


def a_day_of_bob(run, server, watchers, programs):
    watchers.page("closed", "Unavailable")
    desk = CallScenario("bob-desk", "bob-desk", office.DOMAIN, run.logs / "bob-desk.waits").register_phone()
    desk = SippPhone(run, desk.called().ring().person().answer().is_hung_up(), "acceptance")
    programs.append(desk.program)
    watchers.see("Online", ["open", "Ready"], "terminated")
    # The mobile speaks for him, which is no matter of the lamp.
    mobile = Scenario("bob-mobile", "bob-mobile", office.DOMAIN)
    run.sipp(mobile.publish(600, body=published("open", "away", "Driving")))
    watchers.see("Away", ["open", "away", "Driving"], "terminated")
    # Who calls is not away, by this office's policy.
    caller = CallScenario("caller", "caller", office.DOMAIN, run.logs / "caller.waits")
    caller = SippPhone(run, caller.invite("6001").rings().answered().person().bye(), "acceptance")
    programs.append(caller.program)
    watchers.see("On the phone", ["open", "on-the-phone", "Ringing", "Driving"], "early", lacks=["away"])
    desk.act()
    watchers.see("On the phone", ["open", "on-the-phone", "On the phone", "Driving"], "confirmed", lacks=["away"])
    why = server.ask("why", "bob")
    explained(why, [r"^sip:bob@example\.test: InUse"], ["by policy office .union."],
              [r"^\*", "calls", "SIP/bob-desk", "INUSE", "calls stand beside what people say"],
              ["^ +publication", "publication by bob-mobile", 'open, away, "Driving"', "in a call on SIP/bob-desk, so not away"],
              ["^presence", "allow", "everything", ".*", "anna, web"],
              ["^dialog", "allow", "everything", ".*", "lamp"],
              ["^dialog", "polite-block", "somebody who is not there", ".*", "mallory"])
    # His own word beats that of the mobile, and stands beside the call; not to be disturbed hides the call, though not
    # from the lamp, which shows lines and not people. Of two activities linphone shows one; a meeting is its `Do not
    # disturb`, and `busy`, which stands for do not disturb in RFC 4480, its `Busy`.
    server.ask("presence", "set", "bob-desk", "meeting", "--note", "Board room")
    watchers.see("Do not disturb", ["open", "on-the-phone", "meeting", "Board room"], "confirmed", lacks=["away", "Driving"])
    explained(server.ask("why", "bob"),
              [r"^\*", "manual", "status of bob@example.test", 'meeting, "Board room"', "first to be heard"])
    server.ask("presence", "set", "bob", "dnd")
    watchers.see("Busy", ["open", "busy", "Do not disturb"], "confirmed", lacks=["on-the-phone", "meeting"])
    explained(server.ask("why", "bob"), [r"^\*", "manual", "status of bob@example.test", "dnd", "do not disturb beats all"],
              ["^ +calls", "SIP/bob-desk", "INUSE", "do not disturb beats all"])
    server.ask("presence", "clear", "bob")
    watchers.see("On the phone", ["open", "on-the-phone", "Driving"], "confirmed", lacks=["busy", "away"])
    caller.act()
    watchers.see("Away", ["open", "away", "Driving"], "terminated", lacks=["on-the-phone"])
    for phone in (caller, desk):
        phone.done()
