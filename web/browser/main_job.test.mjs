// The main job, on a desktop and on a phone: start, pass on the hosted page, come
// back by the deep link, see the result and the callbacks arrive.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  assertAccessible, assertFits, begin, desktop, launchBrowser, launchGateway, openHosted, phone, seeCallback, seeResult, seeState, shoot, visit,
} from "./harness.mjs";

const gateway = await launchGateway();
const browser = await launchBrowser();

for (const device of [desktop, phone]) {
  test(`a person passes, ${device.name}`, async (t) => {
    const page = await visit(t, browser, gateway.url, { device });
    await page.getByRole("radio", { name: "Identity" }).waitFor();
    await page.getByText("No result yet").waitFor();
    await check(page, "idle", device);

    await begin(page, "Identity", "order-1");
    await seeState(page, "Waiting for the person");
    await page.locator("#line[data-phase=live]").waitFor();
    await seeCallback(page, "EVENT_KIND_SESSION_OPENED");
    await page.getByText("Only this machine can open it").waitFor();
    assert.equal(await page.locator("#result").getAttribute("data-result"), "pending");
    await check(page, "waiting", device);

    const hosted = await openHosted(page);
    await shoot(hosted, `hosted-${device.name}`);
    await hosted.getByRole("button", { name: /^Pass/ }).click();
    await hosted.waitForURL(/\/demo\/returned\?run=/);
    await seeResult(hosted, "Passed");
    await check(hosted, "returned", device);

    await seeState(page, "Confirming the result");
    await seeState(page, "Approved");
    await seeResult(page, "Passed");
    assert.match(await page.locator("#announcement").textContent(), /^Passed\. Approved\./);
    await seeCallback(page, "EVENT_KIND_PASSED");
    assert.equal(await page.locator("#callbacks li").count(), await page.getByText("signature verified").count());
    await page.locator("#callbacks li").last().locator("summary").click();
    const body = JSON.parse(await page.getByRole("region", { name: "Body of EVENT_KIND_PASSED" }).textContent());
    assert.equal(body.result, "VERIFICATION_RESULT_PASS");
    assert.equal(body.verificationId, await page.locator("#verification-id").textContent());
    assert.equal(await page.getByRole("link", { name: /^Open the hosted page/ }).count(), 0);
    await check(page, "passed", device);

    await page.getByRole("button", { name: "Start another one" }).click();
    await page.getByRole("radio", { name: "Identity" }).waitFor();
    await page.getByText("No result yet").waitFor();
  });
}

async function check(page, state, device) {
  const what = `${state}-${device.name}`;
  await shoot(page, what);
  await assertFits(page, what);
  await assertAccessible(page, what);
}
