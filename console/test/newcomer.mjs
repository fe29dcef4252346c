// What a newcomer does in the first minute of `lampyris demo`: opens the printed link, sees lamps change, asks why, watches the
// ladder, sets a status and copies a phone's lines, reading nothing else. Prints `ok NAME: seconds` or `FAILED NAME`.
// usage: node newcomer.mjs SERVER LOGS [IMAGES]; with IMAGES the pictures of the README are written there.
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { Server, browser as launch, page as open } from "./stage.mjs";

const [binary, logs, images] = process.argv.slice(2).map((path) => resolve(path));
mkdirSync(logs, { recursive: true });
const WITHIN_S = 60;
const demo = await Server.demo(binary, logs);
const browser = await launch();
const here = await open(browser, demo, undefined, { permissions: ["clipboard-read", "clipboard-write"] });
const shoot = (name) => here.screenshot({ path: join(images ?? logs, `${name}.png`) });
const begin = performance.now();
const marks = [];
const mark = (what) => marks.push(`${what} ${((performance.now() - begin) / 1000).toFixed(1)} s`);
let failed = 0;
try {
  await here.goto(demo.link);
  await here.waitForSelector("[data-lamp]");
  // A lamp changes.
  await here.evaluate(() => {
    const states = () => [...document.querySelectorAll("[data-lamp]")].map((lamp) => lamp.dataset.lamp + lamp.dataset.state).join();
    window.before = states();
    window.states = states;
  });
  await here.waitForFunction(() => window.states() !== window.before, undefined, { timeout: WITHIN_S * 1000 });
  mark("a lamp changes");
  // Why: a picture of an office at work says more than one that has just begun.
  if (images) await here.waitForFunction(() => document.querySelectorAll(".lamp:is(.use, .ring, .hold)").length >= 3, undefined, { timeout: 40_000 }).catch(() => {});
  // And a day that has lasted for a while has something to show behind it.
  if (images) await here.waitForTimeout(75_000);
  await shoot("board");
  await here.click('[data-lamp^="6001@"]');
  await here.waitForSelector("h2:has-text('Why') + table tr");
  mark("why");
  await here.selectOption("select[name=said]", "meeting");
  await here.fill("input[name=note]", "Back at three");
  await here.click("button:has-text('Set status')");
  await here.waitForSelector(".now:has-text('Back at three')");
  mark("a status is set");
  await here.waitForSelector("tr:has-text('manual')");
  await shoot("person");
  await here.click("nav a:has-text('SIP ladder')");
  await here.waitForFunction(() => document.querySelectorAll(".ladder li").length >= 4, undefined, { timeout: WITHIN_S * 1000 });
  mark("the ladder moves");
  if (images) await here.waitForFunction(() => document.querySelectorAll(".ladder li").length >= 16, undefined, { timeout: 30_000 }).catch(() => {});
  const notifies = here.locator(".ladder li button", { has: here.locator(".arrow b", { hasText: /^NOTIFY$/ }) });
  await here.click("button:has-text('Pause')");
  await notifies.nth(0).click();
  await notifies.nth(1).click();
  await shoot("ladder");
  await here.click("nav a:has-text('Phones')");
  await here.click("figure button:has-text('Copy')");
  const copied = await here.evaluate(() => navigator.clipboard.readText());
  if (!copied.includes("60")) throw new Error(`what was copied: ${copied}`);
  mark("a phone's lines are copied");
  await shoot("phones");
  const took = (performance.now() - begin) / 1000;
  if (!images && took > WITHIN_S) throw new Error(`it takes ${took.toFixed(1)} s: ${marks.join(", ")}`);
  if (here.faults.length > 0) throw new Error(`the browser complains: ${here.faults.join("; ")}`);
  console.log(`ok a newcomer's first minute with the demo: ${marks.join(", ")}`);
} catch (error) {
  failed = 1;
  await here.screenshot({ path: join(logs, "newcomer-failed.png") }).catch(() => {});
  console.log(`FAILED a newcomer's first minute with the demo: ${error.stack}; ${marks.join(", ")}`);
}
await browser.close();
demo.stop();
process.exit(failed);
