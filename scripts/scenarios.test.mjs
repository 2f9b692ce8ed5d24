import assert from "node:assert/strict";
import { test } from "node:test";
import { missing, scenarios, tests } from "./scenarios.mjs";

const table = scenarios(`
| scenario | TypeScript | Kotlin | Swift |
| --- | --- | --- | --- |
| a drain is obeyed | yes | yes | coming |
| only here | yes | no: why | coming |
`);

test("a scenario needs a test that passed", () => {
  const report = `
    <testsuite>
      <testcase classname="a" name="scenarios &gt; a drain is obeyed" time="1"></testcase>
      <testcase classname="a" name="only here"><failure message="x"></failure></testcase>
    </testsuite>`;
  assert.deepEqual(missing(table, "TypeScript", tests(report)), ['TypeScript has no passed test named "only here"']);
});

test("a language owes only what its column promises", () => {
  assert.deepEqual(missing(table, "Kotlin", tests('<testcase name="a drain is obeyed (HTTP/2)"/>')), []);
  assert.deepEqual(missing(table, "Swift", []), []);
});

test("a skipped test and a longer name do not count", () => {
  const ran = tests('<testcase name="a drain is obeyed"><skipped/></testcase><testcase name="a drain is obeyed twice"/>');
  assert.deepEqual(missing(table, "Kotlin", ran), ['Kotlin has no passed test named "a drain is obeyed"']);
});

test("one way that failed is not made good by another", () => {
  const ran = tests('<testcase name="a drain is obeyed"/><testcase name="a drain is obeyed (HTTP/2)"><error/></testcase>');
  assert.deepEqual(missing(table, "Kotlin", ran), ['Kotlin has no passed test named "a drain is obeyed"']);
});

test("a cell that promises nothing clear is a problem", () => {
  const odd = scenarios("| scenario | Typescript | Kotlin |\n| --- | --- | --- |\n| a | Yes | no |");
  assert.equal(missing(odd, "TypeScript", []).length, 1);
  assert.equal(missing(odd, "Kotlin", []).length, 1);
});
