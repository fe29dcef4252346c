// The real server and a real browser for the tests.
import { spawn, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Asks until it is so. */
export async function until(what, ask, within = 15_000) {
  for (const end = Date.now() + within; ; await pause(20)) {
    const found = await ask();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${within} ms: ${what}`);
  }
}

export class Server {
  constructor(binary) {
    this.binary = binary;
    this.dir = mkdtempSync(join(tmpdir(), "lampyris-console-"));
    this.data = join(this.dir, "data");
  }

  /** The demo: an office of simulated phones. */
  static async demo(binary, logs) {
    const self = new Server(binary);
    const out = join(self.dir, "out");
    mkdirSync(self.data);
    self.child = spawn(binary, ["--data", self.data, "demo"], { stdio: ["ignore", openSync(out, "w"), openSync(join(logs, "demo.log"), "w")] });
    self.link = await until("the demo prints its link", () => /(http:\/\/\S+#link=[\w-]+)/.exec(readFileSync(out, "utf8"))?.[1], 60_000);
    self.http = new URL(self.link).origin;
    return self;
  }

  /** CPU time of the process so far, in seconds. */
  cpu() {
    const fields = readFileSync(`/proc/${this.child.pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  static async start(binary, logs, name, config) {
    const self = new Server(binary);
    writeFileSync(join(self.dir, "lampyris.toml"), config);
    const out = join(self.dir, "out");
    const args = ["run", join(self.dir, "lampyris.toml"), "--data", self.data];
    self.child = spawn(binary, args, { stdio: ["ignore", openSync(out, "w"), openSync(join(logs, `${name}.log`), "w")] });
    self.said = () => readFileSync(out, "utf8");
    await until("the server starts", () => /^data /m.test(self.said()) || self.child.exitCode !== null, 180_000);
    self.http = /^http (\S+)/m.exec(self.said())?.[1];
    self.port = Number(/^listening udp:127\.0\.0\.1:(\d+)/m.exec(self.said())?.[1]);
    if (!self.http || !self.port) throw new Error(`the server does not start: ${self.said()}`);
    self.link = /^link (\S+)/m.exec(self.said())?.[1];
    return self;
  }

  token(scope) {
    const args = ["--data", this.data, "token", "create", "test", "--scope", scope];
    return execFileSync(this.binary, args, { encoding: "utf8" }).trim().split("\n").pop();
  }

  stop() {
    this.child.kill("SIGKILL");
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export async function browser() {
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
}

/** A page that notes everything it should not do: errors, refused content, requests elsewhere. */
export async function page(browser, server, token, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${server.http}/`) && !/^(data|blob):/.test(url)) page.faults.push(`asks ${url}`);
  });
  // Why: about:blank has no storage, and says so as an error of the page.
  if (token) {
    await page.addInitScript((value) => location.origin !== "null" && localStorage.setItem("lampyris-token", value), token);
  }
  return page;
}
