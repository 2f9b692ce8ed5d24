// The whole job without a mouse, with the focus in sight at each step, and the
// code tabs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible, assertFits, desktop, launchBrowser, launchGateway, phone, seeResult, seeState, shoot, visit } from "./harness.mjs";

const gateway = await launchGateway();
const browser = await launchBrowser();

test("the whole job works with the keyboard alone", async (t) => {
  const page = await visit(t, browser, gateway.url, { reducedMotion: "reduce" });
  await page.getByRole("radio", { name: "Identity" }).waitFor();
  await tabTo(page, /identity/);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  assert.ok(await page.getByRole("radio", { name: "KYC" }).isChecked());
  await tabTo(page, /reference/);
  await page.keyboard.type("order-4");
  await page.keyboard.press("Enter");

  // The next step has the focus.
  await page.locator("a:focus", { hasText: "Open the hosted page" }).waitFor();
  await seeState(page, "Waiting for the person");
  const opening = page.context().waitForEvent("page");
  await page.keyboard.press("Enter");
  const hosted = await opening;
  await tabTo(hosted, /^Submit$/);
  await hosted.keyboard.press("Enter");
  await hosted.waitForURL(/\/demo\/returned/);
  await seeResult(page, "Passed");

  await page.locator("#callbacks li").nth(3).waitFor();
  await tabTo(page, /^Body of EVENT_KIND_STARTED$/);
  await page.keyboard.press("Enter");
  await page.getByRole("region", { name: "Body of EVENT_KIND_STARTED" }).waitFor();
  await tabTo(page, /^TypeScript$/);
  await page.keyboard.press("Shift+Tab");
  await tabTo(page, /^Start another one$/);
  await page.keyboard.press("Enter");
  await page.getByRole("radio", { name: "Identity" }).waitFor();
});

for (const device of [desktop, phone]) {
  test(`the code tabs follow the arrows, ${device.name}`, async (t) => {
    const page = await visit(t, browser, gateway.url, { device });
    await page.getByRole("radio", { name: "Identity" }).waitFor();
    await page.getByRole("tab", { name: "TypeScript" }).focus();
    const shown = {
      TypeScript: /createVerigate\(/, Swift: /The Swift client is coming/, Kotlin: /VerigateClient\(/, Go: /package main/, curl: /curl -s "\$VERIGATE_URL/,
    };
    for (const [title, text] of Object.entries(shown)) {
      const tab = page.getByRole("tab", { name: title });
      assert.equal(await tab.getAttribute("aria-selected"), "true", title);
      assert.ok(await tab.evaluate((element) => element === document.activeElement), `${title} has the focus`);
      assert.match(await page.getByRole("tabpanel", { name: title }).textContent(), text);
      assert.equal(await page.getByRole("tabpanel").count(), 1);
      await assertAccessible(page, `the tab ${title}`);
      await assertFits(page, `the tab ${title}`);
      await shoot(page, `code-${title.toLowerCase()}-${device.name}`);
      await page.keyboard.press("ArrowRight");
    }
    await page.keyboard.press("End");
    assert.equal(await page.getByRole("tab", { selected: true }).textContent(), "curl");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.getByRole("tab", { selected: true }).textContent(), "TypeScript");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Home");
    assert.equal(await page.getByRole("tab", { selected: true }).textContent(), "TypeScript");
  });
}

// tabTo presses Tab until what has the focus is called so, and fails when it
// cannot be seen there or is never reached.
async function tabTo(page, name) {
  const seen = [];
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press("Tab");
    const focus = await page.evaluate(() => {
      const element = document.activeElement;
      const marked = element.closest("label") ?? element;
      const { outlineStyle, outlineWidth } = getComputedStyle(marked);
      return { name: element.value || element.id || element.textContent.trim(), outline: outlineStyle !== "none" && outlineWidth !== "0px" };
    });
    seen.push(focus.name);
    if (name.test(focus.name) || name.test(await page.evaluate(() => document.activeElement.textContent.trim()))) {
      assert.ok(focus.outline, `the focus on ${focus.name} cannot be seen`);
      return;
    }
  }
  assert.fail(`Tab never came to ${name}: ${seen.join(", ")}`);
}
