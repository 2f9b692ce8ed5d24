// What the page outlives: the trip to the hosted page in its own tab, a reload,
// and a gateway that is restarted in the middle.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible, begin, command, launchBrowser, launchGateway, phone, seeCallback, seeResult, seeState, shoot, visit } from "./harness.mjs";

const gateway = await launchGateway({ lasting: true });
const browser = await launchBrowser();

test("the hosted page in the same tab leads back to the demo, which goes on", async (t) => {
  const page = await visit(t, browser, gateway.url, { device: phone });
  const id = await begin(page, "KYC", "order-3");
  await seeState(page, "Waiting for the person");
  await page.getByRole("link", { name: "open it in this tab" }).click();
  await page.getByRole("button", { name: /^Pass/ }).click();
  await page.waitForURL(`${gateway.url}/`);
  await seeResult(page, "Passed");
  assert.equal(await page.locator("#verification-id").textContent(), id);
  await seeCallback(page, "EVENT_KIND_STARTED");
  await seeCallback(page, "EVENT_KIND_PASSED");
});

test("a reload in the middle loses nothing", async (t) => {
  const page = await visit(t, browser, gateway.url);
  const id = await begin(page, "KYC");
  await seeState(page, "Waiting for the person");
  await seeCallback(page, "EVENT_KIND_SESSION_OPENED");
  await page.reload();
  await seeState(page, "Waiting for the person");
  await seeCallback(page, "EVENT_KIND_SESSION_OPENED");
  assert.equal(await page.locator("#verification-id").textContent(), id);
  await command(gateway, "sandbox", "complete", id, "--outcome", "pass");
  await seeResult(page, "Passed");
  const before = await page.locator("#timeline .entry-title").allTextContents();
  await page.reload();
  await seeResult(page, "Passed");
  assert.deepEqual(await page.locator("#timeline .entry-title").allTextContents(), before);
});

test("a gateway that is restarted in the middle is found again, and the callbacks go on", async (t) => {
  // The browser itself reports each call that finds nobody.
  const page = await visit(t, browser, gateway.url, { tolerated: /net::ERR_|status of 503/ });
  const id = await begin(page, "KYC");
  await seeState(page, "Waiting for the person");
  await seeCallback(page, "EVENT_KIND_SESSION_OPENED");
  await gateway.stop();
  await page.locator("#line[data-phase=waiting]").waitFor();
  await seeState(page, "Line interrupted");
  await page.getByText(/^Next try in/).waitFor();
  await shoot(page, "interrupted-desktop-light");
  await assertAccessible(page, "interrupted");
  await gateway.start();
  // After many calls that found nobody the client polls for a while.
  await page.locator("#line:is([data-phase=live], [data-phase=polling])").waitFor();
  await seeState(page, "Line back");
  await page.locator("#hearing[data-phase=live]").waitFor();
  await command(gateway, "cancel", id);
  await seeResult(page, "Not passed");
  await seeState(page, "Canceled");
  await seeCallback(page, "EVENT_KIND_CANCEL_REQUESTED");
  assert.deepEqual(await page.locator("#callbacks .entry-title").allTextContents(), ["It was started", "The hosted page is ready", "It was called off"]);
});

test("a verification that the gateway does not have ends the watch with the reason", async (t) => {
  const page = await visit(t, browser, gateway.url, { tolerated: /status of 40[14]/ });
  await begin(page, "KYC");
  await seeState(page, "Waiting for the person");
  await page.evaluate(() => {
    const stored = JSON.parse(sessionStorage.getItem("verigate-demo"));
    sessionStorage.setItem("verigate-demo", JSON.stringify({ ...stored, id: "00000000-0000-7000-8000-000000000000" }));
  });
  await page.reload();
  await page.locator("#line[data-phase=stopped]").waitFor();
  await page.getByText("Trying again would not help").waitFor();
  await shoot(page, "stopped-desktop-light");
  await assertAccessible(page, "stopped");
});

test("damaged storage is a fresh page", async (t) => {
  const page = await visit(t, browser, gateway.url);
  for (const damaged of ["{", "7", '{"id":1}', "null"]) {
    await page.evaluate((text) => sessionStorage.setItem("verigate-demo", text), damaged);
    await page.reload();
    await page.getByText("No result yet").waitFor();
  }
});
