// The main job in a real browser: start on the demo page, pass on the hosted
// page, see the result arrive by stream. Run by `make test-browser`; it needs
// Chromium (or CHROMIUM) and the binary that `make build` makes.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const shots = join(root, ".tmp/screenshots");
const patience = 30_000;

let gateway, dataDir, url, browser;

before(async () => {
  const executablePath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
    (path) => path && existsSync(path),
  );
  assert.ok(executablePath, "missing tool: Chromium; install it or name it in CHROMIUM");
  dataDir = await mkdtemp(join(tmpdir(), "verigate-browser-"));
  gateway = spawn(join(root, ".tmp/verigate"), ["dev", "--ephemeral", "--listen", "127.0.0.1:0", "--data-dir", dataDir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve, reject) => {
    let printed = "";
    gateway.once("error", reject);
    gateway.once("exit", (code) => reject(new Error(`the gateway ended with ${code}: ${printed}`)));
    gateway.stdout.on("data", (chunk) => {
      printed += chunk;
      if (printed.includes("Stop with ctrl-C")) resolve();
    });
  });
  url = /VERIGATE_URL=(.*)/.exec(await readFile(join(dataDir, "dev.env"), "utf8"))[1];
  await mkdir(shots, { recursive: true });
  browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});

after(async () => {
  await browser?.close();
  if (gateway && gateway.exitCode === null) {
    const ended = new Promise((resolve) => gateway.once("exit", resolve));
    gateway.kill("SIGTERM");
    await ended;
  }
  if (dataDir) await rm(dataDir, { recursive: true, force: true });
});

for (const { name, device } of [
  { name: "a desktop", device: { viewport: { width: 1280, height: 900 }, colorScheme: "light" } },
  { name: "a phone", device: { viewport: { width: 390, height: 844 }, colorScheme: "dark" } },
]) {
  test(`on ${name} a person passes and the page tells it live`, async () => {
    const context = await browser.newContext(device);
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));

    await page.goto(url);
    await page.getByRole("radio", { name: /identity/i }).check();
    await page.getByRole("button", { name: "Start a verification" }).click();
    await page.locator("#timeline").getByText(/pending/i).first().waitFor();

    const opening = context.waitForEvent("page");
    await page.locator("#open").click();
    const hosted = await opening;
    await hosted.getByText("Test mode — sample run only.").waitFor();
    await hosted.screenshot({ path: join(shots, `hosted-${device.colorScheme}.png`), fullPage: true });
    await hosted.getByRole("button", { name: /^Pass/ }).click();
    await hosted.waitForURL(/\/demo\/returned/);

    await page.locator("#timeline").getByText(/approved/i).first().waitFor();
    assert.match(await page.locator("#result").innerText(), /pass/i);
    await page.screenshot({ path: join(shots, `demo-${device.colorScheme}.png`), fullPage: true });
    assert.deepEqual(complaints, []);
    await context.close();
  });
}
