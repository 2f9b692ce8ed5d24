/**
 * Debian's Chromium, in two ways. Playwright's own keeps every tab visible and
 * has no back/forward cache, which suits tests of many tabs. The plain one is
 * as a person has it: one tab in front, the others hidden, and pages that stay
 * in the cache.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser } from "playwright-core";

// It runs as root in containers, where its sandbox does not start.
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Launches Chromium as Playwright wants it. */
export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: executable(), args: flags });
}

/** A Chromium that Playwright only looks at. */
export interface PlainChromium {
  /** Its one profile is the first context. */
  browser: Browser;
  stop(): Promise<void>;
}

/** Starts Chromium without Playwright's defaults. */
export async function startPlain(): Promise<PlainChromium> {
  const profile = await mkdtemp(join(tmpdir(), "verigate-chromium-"));
  const started = spawn(
    executable(),
    ["--headless", ...flags, "--no-first-run", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const gone = new Promise((resolve) => started.once("exit", resolve));
  const browser = await chromium.connectOverCDP(await debuggingAddress(started), { noDefaults: true });
  return {
    browser,
    stop: async () => {
      await browser.close();
      started.kill("SIGTERM");
      await gone;
      await rm(profile, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

function debuggingAddress(started: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = "";
    started.stderr?.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
      const address = /DevTools listening on (ws:\S+)/.exec(printed)?.[1];
      if (address !== undefined) {
        resolve(address);
      }
    });
    started.once("error", reject);
    started.once("exit", (code) => reject(new Error(`Chromium ended with ${code}: ${printed}`)));
  });
}

function executable(): string {
  const found = [process.env["CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
    (path) => path !== undefined && existsSync(path),
  );
  if (found === undefined) {
    throw new Error("missing tool: Chromium; apt-get install chromium, or name it in CHROMIUM");
  }
  return found;
}
