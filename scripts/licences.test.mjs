// Tests of the licence list: make test-scripts

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { goEntries, judge, npmEntries, permits } from "./licences.mjs";

describe("a licence", () => {
  for (const [expression, want] of [
    ["MIT", true],
    ["(Apache-2.0 AND BSD-3-Clause)", true],
    ["GPL-3.0-only OR MIT", true],
    ["MIT AND GPL-3.0-only", false],
    ["GPL-2.0-only OR AGPL-3.0-only", false],
    ["MIT OR ISC AND GPL-3.0-only", false],
    ["(MIT AND GPL-3.0-only) OR GPL-2.0-only", false],
    ["Apache-2.0 WITH LLVM-exception", false],
    ["MPL-2.0", true],
    ["MPL-2.0-no-copyleft-exception", false],
    ["LGPL-3.0-only", false],
    ["mit", false],
    ["Unknown", false],
    ["SEE LICENSE IN LICENSE.md", false],
    ["", false],
    [undefined, false],
  ]) {
    it(`${JSON.stringify(expression)} is ${want ? "allowed" : "refused"}`, () => {
      assert.equal(permits(expression), want);
    });
  }
});

describe("the list", () => {
  const modules = [["example.org/a", "v1.0.0"], ["example.org/a/v2", "v2.0.0"], ["example.org/b", "v0.1.0"]];

  it("calls a module unknown when nothing of that version was found", () => {
    const entries = goEntries(modules, [["example.org/a/v2/part", "v2.0.0", "MIT"], ["example.org/b", "v0.1.0", "ISC"]]);
    assert.deepEqual(judge(entries).map((problem) => problem.split(":")[0]), ["example.org/a v1.0.0"]);
  });

  it("judges each licence of a module", () => {
    const entries = goEntries(modules.slice(2), [["example.org/b", "v0.1.0", "MIT"], ["example.org/b", "v0.1.0", "AGPL-3.0"]]);
    assert.equal(judge(entries).length, 1);
    assert.match(judge(entries)[0], /example\.org\/b v0\.1\.0: AGPL-3\.0 .*scripts\/licences\.mjs/);
  });

  it("takes npm packages that ship, nested ones too, and no others", () => {
    const lock = {
      packages: {
        "": { name: "us" },
        "clients/ts": { version: "0.0.0", license: "Apache-2.0" },
        "node_modules/@verigate/client": { link: true },
        "node_modules/tool": { version: "1.0.0", license: "GPL-3.0", dev: true },
        "node_modules/@scope/kept": { version: "2.0.0", license: "MIT" },
        "node_modules/@scope/kept/node_modules/deep": { version: "3.0.0" },
      },
    };
    const entries = npmEntries(lock);
    assert.deepEqual(entries, [
      { name: "@scope/kept", version: "2.0.0", licence: "MIT" },
      { name: "deep", version: "3.0.0", licence: "" },
    ]);
    assert.match(judge(entries)[0], /^deep 3\.0\.0: unknown licence/);
  });
});
