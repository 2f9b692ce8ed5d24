// What the page gives to copy: the programs are the files that the clients' tests
// run, and the curl commands run as they are.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { begin, command, launchBrowser, launchGateway, root, seeResult, seeState, visit } from "./harness.mjs";

const gateway = await launchGateway();
const browser = await launchBrowser();
const permissions = ["clipboard-read", "clipboard-write"];

test("a copied program is the file, to the letter", async (t) => {
  const page = await visit(t, browser, gateway.url, { permissions });
  const programs = {
    TypeScript: "clients/ts/examples/ten_lines.ts",
    Kotlin: "clients/kotlin/src/test/kotlin/io/github/verigate/examples/TenLines.kt",
    Go: "clients/go/tenlines/main.go",
  };
  for (const [title, path] of Object.entries(programs)) {
    await page.getByRole("tab", { name: title }).click();
    await page.getByText(path, { exact: true }).waitFor();
    assert.equal(await copied(page, `the ${title} program`), (await readFile(join(root, path), "utf8")).trimEnd());
  }
  await page.getByRole("tab", { name: "Swift" }).click();
  assert.equal(await page.getByRole("tabpanel", { name: "Swift" }).locator("pre").count(), 0);
});

test("the curl commands run as copied and are about this verification", async (t) => {
  const page = await visit(t, browser, gateway.url, { permissions });
  const reference = `it's 100% "order" \\1`;
  const id = await begin(page, "KYC", reference);
  await seeState(page, "Waiting for the person");
  await page.getByRole("tab", { name: "curl" }).click();

  const started = JSON.parse(await shell(await copied(page, "the command: Start")));
  assert.equal(started.verification.reference, reference);
  assert.notEqual(started.verification.id, id);

  // Whether they are open before it is called off or after, both tell of it.
  const waiting = shell(await copied(page, "the command: Wait for the next change"));
  const streaming = shell(await copied(page, "the command: Stream"));
  await command(gateway, "cancel", id);
  const { verification } = JSON.parse(await waiting);
  assert.deepEqual([verification.id, verification.state], [id, "VERIFICATION_STATE_CANCELED"]);
  assert.match(await streaming, new RegExp(`"verificationId":"${id}".*"terminal":true`, "s"));
  await seeResult(page, "Not passed");
});

// copied presses the button of a text and returns what is on the clipboard.
async function copied(page, what) {
  await page.evaluate(() => navigator.clipboard.writeText(""));
  const button = page.getByRole("button", { name: new RegExp(`^Copy ${what}`) });
  await button.click();
  await page.getByRole("button", { name: new RegExp(`^Copied ${what}`) }).waitFor();
  return page.evaluate(() => navigator.clipboard.readText());
}

async function shell(text) {
  const run = spawn("sh", ["-c", text], { env: { ...process.env, ...gateway.env }, stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  run.stdout.on("data", (chunk) => (printed += chunk));
  const [code] = await once(run, "close");
  assert.equal(code, 0, `${text}\nended with ${code}: ${printed}`);
  return printed;
}
