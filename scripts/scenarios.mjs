// Fails when a language lacks a scenario of clients/scenarios.md. What counts is
// the report of a run: a test of that name that ran and passed. Run it after the
// tests, as `make test` does. Go is not here: its test reads the table itself.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

// Where each column's JUnit reports are: a file, or a folder of them.
const reports = {
  TypeScript: { path: ".tmp/reports/ts.xml", command: "make test-ts" },
  Kotlin: { path: "clients/kotlin/target/surefire-reports", command: "make test-kotlin" },
};

// scenarios reads the table: [{name, TypeScript: "yes", …}].
export function scenarios(markdown) {
  const rows = markdown
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const [head = [], , ...body] = rows;
  return body.map((cells) => Object.fromEntries(cells.map((cell, i) => [i === 0 ? "name" : head[i], cell])));
}

// tests returns the tests of a report, without the groups that they are in:
// [{name, passed}].
export function tests(junit) {
  const cases = junit.matchAll(/<testcase\b([^>]*?)(\/>|>([\s\S]*?)<\/testcase>)/g);
  return [...cases].map(([, attributes, , content = ""]) => ({
    name: unescape(/\bname="([^"]*)"/.exec(attributes)?.[1] ?? "").split(" > ").at(-1),
    passed: !/<(failure|error|skipped)\b/.test(content),
  }));
}

function unescape(text) {
  const entities = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  return text
    .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/&(amp|lt|gt|quot|apos);/g, (_, name) => entities[name]);
}

// missing returns a line for each scenario that a language should have and has
// not. A test may add in brackets over what it ran: "a drain is obeyed (HTTP/2)";
// then all of them must have passed.
export function missing(table, language, ran) {
  return table.flatMap((row) => {
    const promise = row[language];
    if (!/^(yes|coming|no: .+)$/.test(promise ?? "")) {
      return [`${language}, "${row.name}": the table says "${promise}"; write yes, coming, or no: and why`];
    }
    const own = ran.filter(({ name }) => name === row.name || name.startsWith(`${row.name} (`));
    if (promise !== "yes" || (own.length > 0 && own.every(({ passed }) => passed))) return [];
    return [`${language} has no passed test named "${row.name}"`];
  });
}

function read(path) {
  const files = path.endsWith(".xml")
    ? [path]
    : readdirSync(path).filter((file) => file.endsWith(".xml")).map((file) => join(path, file));
  return files.map((file) => readFileSync(file, "utf8")).join("\n");
}

function main() {
  const table = scenarios(readFileSync(join(root, "clients/scenarios.md"), "utf8"));
  const problems = [];
  for (const [language, { path, command }] of Object.entries(reports)) {
    if (!existsSync(join(root, path))) {
      problems.push(`${language} has no test report in ${path}: run ${command}`);
      continue;
    }
    problems.push(...missing(table, language, tests(read(join(root, path)))));
  }
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  process.stdout.write(`${table.length} scenarios, ${problems.length} problems\n`);
  process.exitCode = problems.length > 0 || table.length === 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
