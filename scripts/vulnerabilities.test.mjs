// Tests of the vulnerability check against databases and registries of our own:
// make test-scripts, which puts govulncheck on the path.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const script = join(dirname(fileURLToPath(import.meta.url)), "vulnerabilities.mjs");
const nobody = "http://127.0.0.1:1"; // port 1 refuses

let dir, server, advisories, registry;

// entry is one report in the OSV format (https://ossf.github.io/osv-schema/).
const entry = (module, symbols) => ({
  schema_version: "1.3.1", id: "GO-2000-0001", modified: "2000-01-01T00:00:00Z", published: "2000-01-01T00:00:00Z",
  summary: "made up for a test", details: "made up for a test",
  database_specific: { url: "https://example.org/GO-2000-0001" },
  affected: [{
    package: { name: module, ecosystem: "Go" },
    ranges: [{ type: "SEMVER", events: [{ introduced: "0" }, { fixed: "999.0.0" }] }],
    ecosystem_specific: { imports: [{ path: `${module}/chacha20poly1305`, symbols }] },
  }],
});

async function database(name, entries) {
  const path = join(dir, name);
  await mkdir(join(path, "index"), { recursive: true });
  await mkdir(join(path, "ID"));
  const modules = entries.map((e) => ({
    path: e.affected[0].package.name, vulns: [{ id: e.id, modified: e.modified, fixed: "999.0.0" }],
  }));
  const files = { "index/db": { modified: "2000-01-01T00:00:00Z" }, "index/modules": modules };
  for (const e of entries) files[`ID/${e.id}`] = e;
  for (const [file, content] of Object.entries(files)) await writeFile(join(path, `${file}.json`), JSON.stringify(content));
  return `file://${path}`;
}

function check(settings, ...patterns) {
  const env = { ...process.env, VULN_OFFLINE: "", VULN_DB: "", npm_config_registry: registry, ...settings };
  const child = spawn(process.execPath, [script, ...patterns], { env });
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
}

// The package is known to call chacha20poly1305.NewX, and nothing of ssh.
const ours = "./server/seal";
let clean, hit, unreached;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), "verigate-vulnerabilities-"));
  advisories = {};
  server = createServer((request, response) => {
    request.resume();
    const bulk = request.url.endsWith("/security/advisories/bulk");
    response.writeHead(bulk ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(bulk ? advisories : {}));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  registry = `http://127.0.0.1:${server.address().port}`;
  clean = await database("clean", []);
  hit = await database("hit", [entry("golang.org/x/crypto", ["NewX"])]);
  unreached = await database("unreached", [entry("golang.org/x/crypto", ["NoSuchFunction"])]);
});

after(async () => {
  server.close();
  await rm(dir, { recursive: true, force: true });
});

describe("the vulnerability check", () => {
  it("passes when databases that answer know of nothing", async () => {
    const { code, output } = await check({ VULN_DB: clean }, ours);
    assert.equal(code, 0, output);
    assert.match(output, /^Go modules: no known vulnerability$/m);
    assert.match(output, /^npm packages: no known vulnerability$/m);
    assert.doesNotMatch(output, /NOT CHECKED/);
  });

  it("fails on a vulnerability that our code reaches, and names it", async () => {
    const { code, output } = await check({ VULN_DB: hit }, ours);
    assert.equal(code, 1, output);
    assert.match(output, /GO-2000-0001/);
    assert.match(output, /^VULNERABLE: Go modules/m);
  });

  it("passes on one in code that is never called", async () => {
    const { code, output } = await check({ VULN_DB: unreached }, ours);
    assert.equal(code, 0, output);
  });

  it("fails on an npm advisory about what ships, and names it", async () => {
    advisories = {
      "@bufbuild/protobuf": [{ id: 1, url: "https://example.org/advisory", title: "made up", severity: "high", vulnerable_versions: "<999.0.0" }],
    };
    const { code, output } = await check({ VULN_DB: clean }, ours);
    advisories = {};
    assert.equal(code, 1, output);
    assert.match(output, /^npm: @bufbuild\/protobuf .*high: .*made up/m);
    assert.match(output, /^VULNERABLE: npm packages/m);
  });

  for (const [offline, want] of [["", 0], ["report", 0], ["fail", 1]]) {
    it(`says loudly that nothing was checked, and ends with ${want} when VULN_OFFLINE is "${offline}"`, async () => {
      const { code, output } = await check({ VULN_DB: nobody, npm_config_registry: nobody, VULN_OFFLINE: offline }, ours);
      assert.equal(code, want, output);
      assert.match(output, /^NOT CHECKED: Go modules: .*run make vulnerabilities where it can/m);
      assert.match(output, /^NOT CHECKED: npm packages: .*run make vulnerabilities where it can/m);
      assert.doesNotMatch(output, /no known vulnerability/);
    });
  }

  it("fails, whatever VULN_OFFLINE says, when the check itself breaks", async () => {
    const { code, output } = await check({ VULN_DB: clean }, "./no/such/package");
    assert.equal(code, 1, output);
    assert.match(output, /^FAILED: Go modules/m);
  });

  it("refuses a VULN_OFFLINE that it does not know", async () => {
    const { code, output } = await check({ VULN_DB: clean, VULN_OFFLINE: "ignore" }, ours);
    assert.equal(code, 1, output);
    assert.match(output, /VULN_OFFLINE is "ignore"; it may be report or fail/);
  });
});
