// Every other way in which a verification ends, and what the page says of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  assertAccessible, begin, command, desktop, launchBrowser, launchGateway, openHosted, phone, seeCallback, seeResult, seeState, shoot, visit,
} from "./harness.mjs";

const gateway = await launchGateway();
const browser = await launchBrowser();

test("a person who fails has not passed", async (t) => {
  const page = await visit(t, browser, gateway.url);
  await begin(page, "Identity");
  const hosted = await openHosted(page);
  await hosted.getByRole("button", { name: /^Fail/ }).click();
  await hosted.waitForURL(/\/demo\/returned/);
  await seeResult(page, "Not passed");
  await seeState(page, "Declined");
  await seeCallback(page, "EVENT_KIND_REJECTED");
  await seeResult(hosted, "Not passed");
  assert.equal(await page.locator("#result").getAttribute("data-result"), "fail");
  await shoot(page, "failed-desktop-light");
  await assertAccessible(page, "failed");
});

test("one that is called off says so", async (t) => {
  const page = await visit(t, browser, gateway.url, { device: phone });
  const id = await begin(page, "KYC");
  await seeState(page, "Waiting for the person");
  await command(gateway, "cancel", id);
  await seeResult(page, "Not passed");
  await seeState(page, "Canceled");
  await seeCallback(page, "EVENT_KIND_CANCEL_REQUESTED");
  await shoot(page, "canceled-phone-dark");
  await assertAccessible(page, "canceled");
});

test("kyc goes by what the person enters, waits for a reviewer, and follows when the decision is turned over", async (t) => {
  const page = await visit(t, browser, gateway.url);
  const id = await begin(page, "KYC", "order-2");
  const hosted = await openHosted(page);
  await hosted.getByLabel("First name").fill("Jane");
  await hosted.getByLabel("Last name").fill("Roe");
  await hosted.getByRole("button", { name: "Submit" }).click();
  await seeState(page, "In review");
  assert.equal(await page.locator("#result").getAttribute("data-result"), "pending");
  await assertAccessible(page, "in review");
  await command(gateway, "sandbox", "case", id, "--result", "approved");
  await seeResult(page, "Passed");
  await command(gateway, "sandbox", "case", id, "--result", "declined", "--reason", "FAKE_ID");
  await seeResult(page, "Not passed");
  await seeCallback(page, "EVENT_KIND_REVISED_TO_REJECTED");
  await shoot(page, "revised-desktop-light");
});

test("the age gate has one page for everybody", async (t) => {
  const page = await visit(t, browser, gateway.url, { device: { ...desktop, colorScheme: "dark" } });
  await begin(page, "Age gate");
  await seeState(page, "Waiting for the person");
  const hosted = await openHosted(page);
  assert.match(hosted.url(), /\/flow\/age-gate$/);
  await hosted.getByRole("button", { name: /^Pass/ }).click();
  await seeResult(page, "Passed");
  await seeCallback(page, "EVENT_KIND_PASSED");
  await shoot(page, "age-gate-desktop-dark");
  await assertAccessible(page, "age gate");
});

test("a start that is refused says why, and another try works", async (t) => {
  const page = await visit(t, browser, gateway.url, { tolerated: /status of 503/ });
  await page.route("**/demo/start", (route) => route.fulfill({ status: 503, contentType: "text/plain", body: "Try again in a moment: the provider is away\n" }), { times: 1 });
  await page.getByRole("button", { name: "Start a verification" }).click();
  await page.getByRole("alert").getByText("the provider is away").waitFor();
  await shoot(page, "refused-desktop-light");
  await assertAccessible(page, "a refused start");
  await begin(page, "KYC");
  await seeState(page, "Waiting for the person");
});

test("a page whose flows cannot be had says so, and another try works", async (t) => {
  const page = await visit(t, browser, `${gateway.url}/demo/returned`, { tolerated: /status of 502/ });
  await page.route("**/demo/flows", (route) => route.fulfill({ status: 502, body: "No flows today." }), { times: 1 });
  await page.getByRole("link", { name: "open the demo here" }).click();
  await page.getByRole("alert").getByText("No flows today.").waitFor();
  await assertAccessible(page, "no flows");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("radio", { name: "Identity" }).waitFor();
});

test("a tab that came back without a first tab says so", async (t) => {
  const page = await visit(t, browser, `${gateway.url}/demo/returned?run=ABCDEFGHIJKLMNOPQRSTUVWXYZ`);
  await page.getByText("The first tab does not answer").waitFor();
  await assertAccessible(page, "returned alone");
});
