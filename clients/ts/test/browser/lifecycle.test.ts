/**
 * What becomes of a watch when its tab is hidden, frozen, offline or kept in
 * the back/forward cache. Unless a test says otherwise the client's watchdog is
 * slower than the test, so that nothing but the browser's event can bring the
 * stream back.
 */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { VerificationResult } from "../../../../gen/ts/verigate/v1/verification_pb.js";
import { requested } from "../support/faultproxy.js";
import { ended, patience, quickHeartbeat, seenBy, test, until, type Tabs } from "./tabs.js";

/** A way in which a tab goes to the background and comes back. */
interface Absence {
  name: string;
  leave(tabs: Tabs, page: Page): Promise<void>;
  comeBack(page: Page): Promise<void>;
}

const absences: Absence[] = [
  { name: "hidden", leave: hide, comeBack: (page) => page.bringToFront() },
  {
    name: "frozen",
    // Chromium freezes hidden tabs only.
    leave: async (tabs, page) => {
      await hide(tabs, page);
      await setLifecycle(page, "frozen");
    },
    comeBack: (page) => setLifecycle(page, "active"),
  },
  {
    name: "kept in the back/forward cache",
    leave: async (tabs, page) => {
      await page.evaluate(() => addEventListener("pageshow", ({ persisted }) => Object.assign(window, { persisted })));
      await page.goto(tabs.address("elsewhere"));
    },
    comeBack: async (page) => {
      await page.evaluate(() => history.back());
      await page.waitForFunction(() => "persisted" in window && window.persisted === true, undefined, { polling: 50, timeout: patience });
    },
  },
  {
    // Chromium tells a return from its cache in three ways; the others do not.
    name: "shown again from a cache, with no other event,",
    leave: async () => undefined,
    comeBack: async (page) => {
      await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
    },
  },
];

for (const { name, leave, comeBack } of absences) {
  test(`a tab that was ${name} opens its dead stream anew at once and learns the result`, async ({ plainTabs: tabs }) => {
    const id = await tabs.start();
    const page = await tabs.open();
    await tabs.watch(page, { id });
    const { versions } = await seenBy(page);

    await leave(tabs, page);
    expect(await tabs.proxy.now("WatchStatus", "stall")).toBe(1);
    await tabs.pass(id);
    await comeBack(page);

    const { calls } = await tabs.proxy.calls("WatchStatus", { begun: 2 });
    expect(calls.map((call) => requested(call).afterVersion)).toEqual([0n, BigInt(versions.at(-1) ?? 0)]);
    const seen = await ended(page);
    expect(seen.ended).toBe("ended");
    expect(seen.results.at(-1)).toBe(VerificationResult.PASS);
    expect(seen.versions).toEqual([...new Set(seen.versions)].sort((a, b) => a - b));
  });
}

test("a hidden tab takes silence for no alarm, while a visible one does", async ({ plainTabs: tabs }) => {
  const [hiddenId, visibleId] = [await tabs.start(), await tabs.start()];
  const hidden = await tabs.open();
  await tabs.watch(hidden, { id: hiddenId, heartbeatMs: quickHeartbeat });
  // The newer tab hides the older one.
  const visible = await tabs.open();
  await untilHidden(hidden);
  await tabs.watch(visible, { id: visibleId, heartbeatMs: quickHeartbeat });

  await tabs.proxy.rules({ procedure: "WatchStatus", fault: "stall", after: 1, times: 0 });
  expect(await tabs.proxy.now("WatchStatus", "stall")).toBe(2);
  const before = await callsOf(tabs, hiddenId);
  await tabs.proxy.calls("WatchStatus", { begun: (await tabs.proxy.calls("WatchStatus")).begun + 2 });
  expect(await callsOf(tabs, hiddenId)).toBe(before);

  await tabs.proxy.rules();
  await hidden.bringToFront();
  await tabs.pass(hiddenId);
  expect((await ended(hidden)).results.at(-1)).toBe(VerificationResult.PASS);
});

test("a tab that was offline is back when the browser says so, whatever pause it was in", async ({ profile }) => {
  const tabs = await profile({ before: withoutLongPauses });
  const id = await tabs.start();
  const page = await tabs.open();
  await tabs.watch(page, { id });

  await tabs.context.setOffline(true);
  // Offline, the browser opens no connection but keeps those that it has.
  expect(await tabs.proxy.now("WatchStatus", "cut")).toBe(1);
  // The pauses are at their shortest until many attempts have failed.
  await until(page, (seen) => seen.lines.filter(({ state }) => state === "waiting").length >= 10);
  await page.evaluate(() => Object.assign(window, { chance: 0.99 }));
  await until(page, (seen) => (seen.lines.at(-1)?.retryInMs ?? 0) > 20_000);

  await tabs.pass(id);
  await tabs.context.setOffline(false);
  expect((await ended(page)).results.at(-1)).toBe(VerificationResult.PASS);
});

/** Runs in the page: a timer of more than 20 s never rings, and the test sets the jitter. */
function withoutLongPauses(): void {
  const real = window.setTimeout.bind(window);
  const bounded = (run: () => void, milliseconds = 0): number => real(milliseconds > 20_000 ? () => undefined : run, milliseconds);
  const settings = Object.assign(window, { chance: 0.001, setTimeout: bounded });
  Math.random = () => settings.chance;
}

async function hide(tabs: Tabs, page: Page): Promise<void> {
  await tabs.context.newPage();
  await untilHidden(page);
}

async function untilHidden(page: Page): Promise<void> {
  await page.waitForFunction(() => document.visibilityState === "hidden", undefined, { polling: 50, timeout: patience });
}

async function setLifecycle(page: Page, state: "frozen" | "active"): Promise<void> {
  const session = await page.context().newCDPSession(page);
  await session.send("Page.setWebLifecycleState", { state });
  await session.detach();
}

async function callsOf(tabs: Tabs, id: string): Promise<number> {
  const { calls } = await tabs.proxy.calls("WatchStatus");
  return calls.filter((call) => requested(call).id === id).length;
}
