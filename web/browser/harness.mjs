// What the browser tests share: a gateway of their own, Chromium, the person in
// front of the page, and the checks that hold everywhere. A test gets pages from
// `visit`, whose consoles must stay clean.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const shots = join(root, ".tmp/screenshots");
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// Generous, because the machine may do other things too.
export const patience = 60_000;

export const desktop = { name: "desktop-light", viewport: { width: 1280, height: 900 }, colorScheme: "light" };
export const phone = {
  name: "phone-dark", viewport: { width: 390, height: 844 }, colorScheme: "dark", isMobile: true, hasTouch: true, deviceScaleFactor: 2,
};

// launchGateway starts `verigate dev` and stops it after the tests of the file.
// With `lasting` its database survives restart.
export async function launchGateway({ lasting = false } = {}) {
  const binary = process.env.VERIGATE_BINARY ?? join(root, ".tmp/verigate");
  assert.ok(existsSync(binary), `missing ${binary}: run \`make build\``);
  const dataDir = await mkdtemp(join(tmpdir(), "verigate-browser-"));
  const gateway = { binary, dataDir, url: "", env: {} };
  let running;
  const run = async (listen) => {
    running = spawn(binary, ["dev", "--json", "--data-dir", dataDir, "--listen", listen, ...(lasting ? [] : ["--ephemeral"])], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    gateway.url = JSON.parse(await firstLine(running)).url;
  };
  gateway.stop = async () => {
    if (running.exitCode !== null) return;
    const ended = once(running, "exit");
    running.kill("SIGTERM");
    await ended;
  };
  gateway.start = () => run(new URL(gateway.url).host);
  after(async () => {
    await gateway.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  await run("127.0.0.1:0");
  const lines = (await readFile(join(dataDir, "dev.env"), "utf8")).trim().split("\n");
  gateway.env = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
  return gateway;
}

function firstLine(process) {
  return new Promise((resolve, reject) => {
    let printed = "";
    process.once("error", reject);
    process.once("exit", (code) => reject(new Error(`the gateway ended with ${code}: ${printed}`)));
    process.stdout.on("data", (chunk) => {
      printed += chunk;
      if (printed.includes("\n")) resolve(printed.slice(0, printed.indexOf("\n")));
    });
  });
}

// command runs the verigate command against a gateway and returns what it
// printed.
export async function command(gateway, ...args) {
  const run = spawn(gateway.binary, args, { env: { ...process.env, ...gateway.env }, stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  run.stdout.on("data", (chunk) => (printed += chunk));
  const [code] = await once(run, "close");
  assert.equal(code, 0, `verigate ${args.join(" ")} ended with ${code}: ${printed}`);
  return printed;
}

// launchBrowser starts Chromium and closes it after the tests of the file.
export async function launchBrowser() {
  const executablePath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
    (path) => path && existsSync(path),
  );
  assert.ok(executablePath, "missing tool: Chromium; apt-get install chromium, or name it in CHROMIUM");
  await mkdir(shots, { recursive: true });
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  after(() => browser.close());
  return browser;
}

// visit opens the demo in a context of its own. The context ends with the test,
// which fails when a console complained of anything but what `tolerated` names.
export async function visit(t, browser, url, { device = desktop, tolerated, ...options } = {}) {
  const { name: _name, ...settings } = device;
  const context = await browser.newContext({ ...settings, ...options });
  context.setDefaultTimeout(patience);
  const complaints = [];
  context.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(`${message.text()} ${message.location().url}`));
  context.on("weberror", (error) => complaints.push(String(error.error())));
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints.filter((text) => !tolerated?.test(text)), []);
  });
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

// begin starts a verification on the page and returns its id.
export async function begin(page, flow, reference = "") {
  await page.getByRole("radio", { name: flow }).check();
  await page.getByLabel("Reference").fill(reference);
  await page.getByRole("button", { name: "Start a verification" }).click();
  return page.locator("#verification-id").textContent();
}

// openHosted follows the page's button into the new tab.
export async function openHosted(page) {
  const opening = page.context().waitForEvent("page");
  await page.getByRole("link", { name: /^Open the hosted page/ }).click();
  const hosted = await opening;
  await hosted.getByText("Test mode — sample run only.").waitFor();
  return hosted;
}

// seeState waits for an entry of the timeline.
export function seeState(page, title) {
  return page.locator("#timeline .entry-title").getByText(title, { exact: true }).first().waitFor();
}

// seeResult waits for the big word.
export function seeResult(page, word) {
  return page.locator("#result .result-word").getByText(word, { exact: true }).waitFor();
}

// seeCallback waits for a callback of a kind.
export function seeCallback(page, kind) {
  return page.locator("#callbacks li").filter({ has: page.locator(".chips").getByText(kind, { exact: true }) }).waitFor();
}

// assertAccessible runs axe over the page as it stands.
export async function assertAccessible(page, what) {
  // Colours are judged once nothing moves any more.
  await page.evaluate(() => Promise.all(document.getAnimations().filter((a) => a.effect.getComputedTiming().iterations === 1).map((a) => a.finished)));
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`);
  assert.deepEqual(told, [], `${what} is not accessible`);
}

// assertFits fails when something makes the page wider than the screen.
export async function assertFits(page, what) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(over <= 0, `${what} is ${over} pixels wider than the screen`);
}

// shoot keeps a screenshot of the whole page.
export async function shoot(page, name) {
  // What sticks to the window belongs at its top.
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}
