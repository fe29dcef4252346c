"""A browser as a phone: SIP.js in headless Chromium, over ws and wss, registers, watches a lamp and sees it change,
publishes its presence and sees that of the other.

The page and SIP.js (from the npm registry, one exact version) are served on loopback; what the page sees it posts back.
The browser's Contact is in `.invalid`, so everything must come on the connection it opened."""

import functools
import http.server
import json
import os
import shutil
import subprocess
import tarfile
import threading
import time

from checks import check
from programs import Failure, Missing, Program, need

SIP_JS = "sip.js@0.21.2"
DOMAIN = "example.com"
TRANSPORTS = ("ws", "wss")
CONFIG = """[server]
listen = ["ws:127.0.0.1:0", "wss:127.0.0.1:0", "ws:[::1]:0"]
[tls]
certificate = "own.pem"
key = "own.key"
[domains."example.com"]
[peers.web-ws]
secret = "a page's"
[peers.web-wss]
secret = "a page's"
[hints]
"7000" = "Custom:lamp"
"""

PAGE = """<!doctype html><meta charset="utf-8"><title>phone</title><script type="module">
import { Publisher, Registerer, Subscriber, UserAgent } from "/package/lib/index.js";
const tell = (who, what) => fetch("/told", { method: "POST", body: JSON.stringify([who, String(what)]) });
window.addEventListener("error", (event) => tell("page", event.message));
window.addEventListener("unhandledrejection", (event) => tell("page", event.reason));
for (const [name, server] of Object.entries(SERVERS)) {
  const agent = new UserAgent({
    uri: UserAgent.makeURI(`sip:web-${name}@DOMAIN`),
    transportOptions: { server, keepAliveInterval: 1 },
    authorizationUsername: `web-${name}`,
    authorizationPassword: "a page's",
    logLevel: "warn",
    logConnector: (level, category, label, content) => tell(name, `${level} ${category}: ${content}`),
  });
  await agent.start();
  const registerer = new Registerer(agent);
  registerer.stateChange.addListener((state) => tell(name, state));
  await registerer.register();
  const options = { extraHeaders: ["Accept: application/dialog-info+xml"] };
  const watch = new Subscriber(agent, UserAgent.makeURI("sip:7000@DOMAIN"), "dialog", options);
  watch.delegate = { onNotify: async (notify) => { await notify.accept(); tell(name, notify.request.body); } };
  await watch.subscribe();
  // Each says `here`, and `lunch` when it sees the other there and its own first word is answered.
  const own = UserAgent.makeURI(`sip:web-${name}@DOMAIN`);
  const publisher = new Publisher(agent, own, "presence", { contentType: "application/pidf+xml", expires: 600 });
  const say = (note) => publisher.publish(
    `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:web-${name}@DOMAIN"><tuple id="page">` +
    `<status><basic>open</basic></status><note>${note}</note></tuple></presence>`);
  const friend = new Subscriber(agent, UserAgent.makeURI(`sip:web-${name === "ws" ? "wss" : "ws"}@DOMAIN`), "presence",
    { extraHeaders: ["Accept: application/pidf+xml"] });
  let seen = "", changed = false;
  const change = async () => {
    if (changed || !["here", "lunch"].includes(seen) || publisher.state !== "Published") return;
    changed = true;
    await say("lunch");
  };
  publisher.stateChange.addListener(change);
  friend.delegate = { onNotify: async (notify) => {
    await notify.accept();
    const note = /<note>(here|lunch)</.exec(notify.request.body)?.[1] ?? "gone";
    if (note === seen) return;
    tell(name, `friend ${note}`);
    seen = note;
    await change();
  } };
  await friend.subscribe();
  await say("here");
}
</script>
"""


class Page(http.server.SimpleHTTPRequestHandler):
    """Serves the page and the package, and keeps what the page tells."""

    # As modules want it; the system's own table may say otherwise.
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}

    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.news:
            self.server.told.append(tuple(told))
            self.server.news.notify_all()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Site:
    """The web server of the page."""

    def __init__(self, directory):
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Page, directory=str(directory)))
        self.server.told, self.server.news = [], threading.Condition()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/phone.html"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def hears(self, who, part, seconds):
        deadline = time.monotonic() + seconds
        with self.server.news:
            while not any(name == who and part in what for name, what in self.server.told):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Failure(f"the page did not tell `{part}` of {who} within {seconds} s: {self.server.told}")
                self.server.news.wait(left)


def package(directory):
    """Unpacks SIP.js from the npm registry."""
    need("npm", "openssl", "chromium")
    done = subprocess.run(["npm", "pack", "--silent", SIP_JS], cwd=directory, capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL)
    archives = list(directory.glob("sip.js-*.tgz"))
    if done.returncode != 0 or not archives:
        raise Missing(f"no {SIP_JS} from the npm registry")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(directory, filter="data")


def chromium(url, directory):
    profile = directory / "profile"
    profile.mkdir()
    options = ["--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
               "--disable-component-update", "--disable-sync", "--disable-background-timer-throttling",
               "--ignore-certificate-errors", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    return Program("Chromium", ["chromium", *options, url], directory / "chromium.log", env={"HOME": str(directory)})


@check
def sip_js_in_chromium_watches_and_publishes_over_ws_and_wss(run):
    directory = run.logs / "browser"
    directory.mkdir()
    package(directory)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", directory / "own.key",
                    "-out", directory / "own.pem"], check=True, capture_output=True, timeout=20)
    (directory / "web.toml").write_text(CONFIG)
    data = directory / "data"
    server = Program("lampyris", [run.server.binary, "run", directory / "web.toml", "--data", data], directory / "server.log")
    programs = [server]
    try:
        ports = {name: server.wait_for(rf"^listening {name}:127\.0\.0\.1:(\d+)", 20).group(1) for name in TRANSPORTS}
        servers = {name: f"{name}://127.0.0.1:{port}" for name, port in ports.items()}
        page = PAGE.replace("SERVERS", json.dumps(servers)).replace("DOMAIN", DOMAIN)
        (directory / "phone.html").write_text(page)
        site = Site(directory)
        programs.append(chromium(site.url, directory))
        for name in TRANSPORTS:
            site.hears(name, "Registered", 20)
            site.hears(name, "<dialog-info", 10)
            site.hears(name, "friend lunch", 10)
        done = subprocess.run([run.server.binary, "devstate", "set", "Custom:lamp", "INUSE", "--data", data],
                              capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Failure(f"devstate set: {done.stderr}")
        for name in TRANSPORTS:
            site.hears(name, "<state>confirmed</state>", 10)
        faults = [told for told in site.server.told if told[0] == "page" or told[1].startswith(("error", "warn"))]
        if faults:
            raise Failure(f"the page complains: {faults}")
        site.server.shutdown()
    finally:
        for program in reversed(programs):
            program.stop()
        shutil.rmtree(directory / "profile", ignore_errors=True)
