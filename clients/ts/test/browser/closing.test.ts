/**
 * A watch that nobody reads any more holds no call open, and a page that cannot
 * read a stream does without.
 */
import { expect } from "vitest";
import { VerificationResult } from "../../../../gen/ts/verigate/v1/verification_pb.js";
import { ended, test } from "./tabs.js";

test("leaving the loop closes the call", async ({ profile }) => {
  const tabs = await profile();
  const page = await tabs.open();
  await tabs.watch(page, { id: await tabs.start(), leaving: "break" });
  expect((await ended(page)).ended).toBe("broke off");
  expect((await tabs.proxy.calls("WatchStatus", { open: 0 })).begun).toBe(1);
});

test("aborting closes the call", async ({ profile }) => {
  const tabs = await profile();
  const page = await tabs.open();
  await tabs.watch(page, { id: await tabs.start() });
  expect((await tabs.proxy.calls("WatchStatus")).open).toBe(1);
  await page.evaluate(() => window.stage.abort(0));
  await ended(page);
  expect((await tabs.proxy.calls("WatchStatus", { open: 0 })).begun).toBe(1);
});

test("closing the tab closes the call", async ({ profile }) => {
  const tabs = await profile();
  const page = await tabs.open();
  await tabs.watch(page, { id: await tabs.start() });
  expect((await tabs.proxy.calls("WatchStatus")).open).toBe(1);
  await page.close();
  await tabs.proxy.calls("WatchStatus", { open: 0 });
});

test("a page whose fetch has no streaming body polls", async ({ profile }) => {
  const tabs = await profile({ before: withoutStreamingBody });
  const id = await tabs.start();
  const page = await tabs.open();
  await tabs.watch(page, { id });
  await tabs.proxy.calls("GetVerification", { begun: 2 });
  await tabs.pass(id);

  const seen = await ended(page);
  expect(seen.results.at(-1)).toBe(VerificationResult.PASS);
  expect(seen.lines.map(({ state }) => state)).toContain("polling");
  expect((await tabs.proxy.calls("WatchStatus")).begun).toBe(0);
});

/**
 * Runs in the page, and makes its fetch like React Native's: it answers when the
 * whole body is there, and the answer has no `body`.
 */
function withoutStreamingBody(): void {
  const real = window.fetch.bind(window);
  window.fetch = async (...request) => {
    const answer = await real(...request);
    const { status, statusText, headers } = answer;
    return new Response(await answer.arrayBuffer(), { status, statusText, headers });
  };
  Reflect.deleteProperty(Response.prototype, "body");
  Reflect.deleteProperty(window, "ReadableStream");
}
