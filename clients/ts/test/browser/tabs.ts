/**
 * The fixtures of the browser tests: the tabs of one browser profile, whose
 * page is served on the proxy's own origin.
 *
 *     test ─► Tabs.open ─► page ─► client ─► fault proxy ─► gateway
 */
import type { Browser, BrowserContext, Page } from "playwright-core";
import { inject, test as base } from "vitest";
import { launch, startPlain } from "./chromium.js";
import { FaultProxy } from "../support/faultproxy.js";
import type { Leaving, Order, Seen } from "./page/entry.js";
import { pass, startVerification, type Gateway } from "../support/verification.js";

/** How long a wait may take on a slow machine, in milliseconds. */
export const patience = 30_000;

/** The heartbeat of a client that takes no silence for an alarm during a test. */
export const slowHeartbeat = 60_000;
/** Twice the gateway's heartbeat, so that a busy machine raises no alarm. */
export const quickHeartbeat = 1000;

/** How a page watches: the heartbeat it expects, and how it leaves. */
export interface Watching {
  id: string;
  heartbeatMs?: number;
  leaving?: Leaving;
}

export class Tabs {
  constructor(
    readonly proxy: FaultProxy,
    readonly context: BrowserContext,
    private readonly gateway: Gateway,
  ) {}

  /** Starts a verification at the gateway itself and tells its id. */
  start(): Promise<string> {
    return startVerification(this.gateway);
  }

  /** Plays the person, who passes. */
  pass(id: string): Promise<void> {
    return pass(this.gateway, id);
  }

  /** Opens the page in another tab. */
  async open(): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(this.address());
    return page;
  }

  /** The page's address; with another name, of one more such page. */
  address(name = "page"): string {
    return `${this.proxy.url}/client-test/${name}`;
  }

  /** Begins a watch in a page and waits for its first update. */
  async watch(page: Page, watching: Watching): Promise<void> {
    await page.evaluate(
      ({ order, leaving }) => window.stage.watch(order, leaving),
      { order: this.order(watching), leaving: watching.leaving },
    );
    await until(page, (seen) => seen.versions.length > 0);
  }

  /** Asks for a verification once, from a page. */
  get(page: Page, id: string): Promise<number> {
    return page.evaluate((order) => window.stage.get(order), this.order({ id }));
  }

  private order({ id, heartbeatMs = slowHeartbeat }: Watching): Order {
    return { baseUrl: this.proxy.url, token: this.gateway.apiKey, heartbeatMs, id };
  }
}

/** Waits until a page's first watch is as wanted; the condition runs in the page. */
export async function until(page: Page, condition: (seen: Seen) => boolean): Promise<void> {
  await page.waitForFunction(`(${condition.toString()})(window.stage.watches[0])`, undefined, {
    timeout: patience,
    // Frames are not drawn in every tab.
    polling: 50,
  });
}

/** Waits until a page's first watch has ended, and tells what it has seen. */
export async function ended(page: Page): Promise<Seen> {
  await until(page, (seen) => seen.ended !== undefined);
  return seenBy(page);
}

/** Tells what a page's first watch has seen so far. */
export async function seenBy(page: Page): Promise<Seen> {
  const seen = await page.evaluate(() => window.stage.watches[0]);
  if (seen === undefined) {
    throw new Error("the page watches nothing");
  }
  return seen;
}

/** What a profile is like. */
export interface Profile {
  /** Whether the line is HTTP/2 over TLS rather than HTTP/1.1. */
  tls?: boolean;
  /** Runs in every page before its own script. */
  before?: () => void;
}

interface Fixtures {
  browser: Browser;
  plainBrowser: Browser;
  /** Makes a profile in which every tab is visible. */
  profile: (profile?: Profile) => Promise<Tabs>;
  /** The profile of a plain Chromium: only the newest tab is visible. */
  plainTabs: Tabs;
}

/** A test with profiles that are gone when it ends. */
export const test = base.extend<Fixtures>({
  browser: [
    async ({}, use) => {
      const browser = await launch();
      await use(browser);
      await browser.close();
    },
    { scope: "file" },
  ],
  plainBrowser: [
    async ({}, use) => {
      const plain = await startPlain();
      await use(plain.browser);
      await plain.stop();
    },
    { scope: "file" },
  ],
  profile: async ({ browser }, use) => {
    const opened: Tabs[] = [];
    await use(async ({ tls = false, before } = {}) => {
      const context = await browser.newContext({ ignoreHTTPSErrors: tls });
      if (before !== undefined) {
        await context.addInitScript(before);
      }
      const tabs = await serve(context, tls);
      opened.push(tabs);
      return tabs;
    });
    for (const { context, proxy } of opened) {
      await context.close();
      await proxy.stop();
    }
  },
  plainTabs: async ({ plainBrowser }, use) => {
    const context = plainBrowser.contexts()[0];
    if (context === undefined) {
      throw new Error("Chromium started without a profile");
    }
    const before = context.pages();
    const tabs = await serve(context, false);
    await use(tabs);
    await Promise.all(context.pages().filter((page) => !before.includes(page)).map((page) => page.close()));
    await tabs.proxy.stop();
  },
});

async function serve(context: BrowserContext, tls: boolean): Promise<Tabs> {
  const { gateway, script } = inject("shared");
  const proxy = await FaultProxy.start(gateway.url, ...(tls ? ["--tls"] : []));
  context.setDefaultTimeout(patience);
  // The icon keeps the browser from asking the gateway for one.
  const body = `<!doctype html><title>Client</title><link rel="icon" href="data:,"><script>${script.replaceAll("</script", "<\\/script")}</script>`;
  const tabs = new Tabs(proxy, context, gateway);
  await context.route(tabs.address("*"), (route) => route.fulfill({ contentType: "text/html", body }));
  return tabs;
}
