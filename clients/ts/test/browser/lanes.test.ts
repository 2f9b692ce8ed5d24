/**
 * Many tabs at once. Over HTTP/1.1 a browser has six connections to an origin
 * for all its tabs; over HTTP/2 one connection carries everything.
 */
import type { Page } from "playwright-core";
import { describe, expect } from "vitest";
import { VerificationResult } from "../../../../gen/ts/verigate/v1/verification_pb.js";
import { ended, patience, seenBy, test, type Tabs } from "./tabs.js";

/** How many streams the client opens over HTTP/1.1, and what the browser allows. */
const lanes = 4;
const connections = 6;

describe("over HTTP/1.1", () => {
  test("six tabs and then eight watch while another one calls, and all learn the result", async ({ profile }) => {
    const tabs = await profile();
    const id = await tabs.start();
    const watching = await watchInTabs(tabs, 6, id);
    const another = await tabs.open();
    expect(await tabs.get(another, id)).toBeGreaterThan(0);

    watching.push(...(await watchInTabs(tabs, 2, id)));
    expect(await tabs.get(another, id)).toBeGreaterThan(0);
    const streams = await tabs.proxy.calls("WatchStatus", { open: lanes });
    expect(new Set(streams.calls.map((call) => call.http))).toEqual(new Set(["HTTP/1.1"]));
    const states = (await Promise.all(watching.map(seenBy))).map(({ lines }) => lines.at(-1)?.state);
    expect(states.sort()).toEqual([...new Array(lanes).fill("live"), ...new Array(8 - lanes).fill("polling")]);

    await tabs.pass(id);
    await expectPassed(watching);
  });

  test("without lanes a call of a seventh tab hangs until a stream is closed", async ({ profile }) => {
    const tabs = await profile({
      before: () => Object.defineProperty(Navigator.prototype, "locks", { value: undefined }),
    });
    const id = await tabs.start();
    const watching = await watchInTabs(tabs, connections, id);
    await tabs.proxy.calls("WatchStatus", { open: connections });

    const answer = tabs.get(await tabs.open(), id);
    // The streams go on for some heartbeats, and the call is still not there.
    await tabs.proxy.calls("WatchStatus", { messages: 6 });
    expect((await tabs.proxy.calls("GetVerification")).begun).toBe(0);

    await watching[0]?.evaluate(() => window.stage.abort(0));
    await tabs.proxy.calls("GetVerification", { begun: 1 });
    expect(await answer).toBeGreaterThan(0);
  });

  test("a lane is free again when its tab is closed", async ({ profile }) => {
    const tabs = await profile();
    const taking: Page[] = [];
    for (let number = 0; number < lanes; number++) {
      const page = await tabs.open();
      expect(await takeLane(tabs, page)).toBe(true);
      taking.push(page);
    }
    const another = await tabs.open();
    expect(await takeLane(tabs, another)).toBe(false);
    await taking[2]?.close();
    await expect.poll(() => takeLane(tabs, another), { timeout: patience }).toBe(true);
  });
});

describe("over HTTP/2", () => {
  test("six tabs and then ten all stream at once", async ({ profile }) => {
    const tabs = await profile({ tls: true });
    const id = await tabs.start();
    const watching = await watchInTabs(tabs, 6, id);
    await tabs.proxy.calls("WatchStatus", { open: 6 });
    watching.push(...(await watchInTabs(tabs, 4, id)));
    const streams = await tabs.proxy.calls("WatchStatus", { open: 10 });
    expect(new Set(streams.calls.map((call) => call.http))).toEqual(new Set(["HTTP/2.0"]));

    await tabs.pass(id);
    await expectPassed(watching);
  });

  test("the protocol is still learned when the browser's list of calls is full", async ({ profile }) => {
    const tabs = await profile({ tls: true });
    const id = await tabs.start();
    const page = await tabs.open();
    await page.evaluate(() => performance.setResourceTimingBufferSize(0));
    for (let number = 0; number < lanes; number++) {
      expect(await takeLane(tabs, page)).toBe(true);
    }
    expect(await takeLane(tabs, page)).toBe(false);
    await tabs.get(page, id);
    await expect.poll(() => takeLane(tabs, page), { timeout: patience }).toBe(true);
    expect(await page.evaluate(() => performance.getEntriesByType("resource").length)).toBe(0);
  });
});

function watchInTabs(tabs: Tabs, number: number, id: string): Promise<Page[]> {
  return Promise.all(
    Array.from({ length: number }, async () => {
      const page = await tabs.open();
      await tabs.watch(page, { id });
      return page;
    }),
  );
}

async function expectPassed(pages: Page[]): Promise<void> {
  for (const seen of await Promise.all(pages.map(ended))) {
    expect(seen.ended).toBe("ended");
    expect(seen.results.at(-1)).toBe(VerificationResult.PASS);
  }
}

function takeLane(tabs: Tabs, page: Page): Promise<boolean> {
  return page.evaluate((baseUrl) => window.stage.takeLane(baseUrl), tabs.proxy.url);
}
