// Lists what ships, with version and licence, and fails when a licence is
// unknown or not allowed: the Go modules in the binary, as built for this
// platform, and the npm packages that an app gets with a client. Go's standard
// library is not in the list (BSD-3-Clause). `make licences` runs it.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const binary = "./cmd/verigate";
const own = "github.com/verigate/verigate";

// SPDX names of licences that ask for no more than a notice, and one that asks a
// little more. XZ is the public domain dedication of the XZ projects. MPL-2.0 is
// for River, the job queue: its copyleft ends at its own files, of which we
// change none, so whoever gets the binary is owed a pointer to River's source and
// nothing else. Any other copyleft licence is a decision to take when the first
// such dependency comes.
const allowed = new Set([
  "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PostgreSQL", "Unlicense", "XZ",
]);

// permits reads an SPDX expression: every part of an AND, one of an OR. It
// refuses what mixes the two, because that needs a person.
export function permits(expression) {
  const bare = String(expression ?? "").trim().replace(/^\(([^()]*)\)$/, "$1");
  const or = bare.split(/\s+OR\s+/);
  const and = bare.split(/\s+AND\s+/);
  if (or.length > 1 && and.length > 1) return false;
  return or.length > 1 ? or.some((part) => allowed.has(part)) : and.every((part) => allowed.has(part));
}

// judge returns a problem for each entry whose licence is not allowed.
export function judge(entries) {
  return entries
    .filter((entry) => !permits(entry.licence))
    .map((entry) => `${entry.name} ${entry.version}: ${entry.licence || "unknown licence"} is not on the list in scripts/licences.mjs; replace it, or allow the licence there and say why`);
}

// goEntries adds to the licences that were found the modules of the binary for
// which there is none. What is found may be only a part of a module.
export function goEntries(modules, report) {
  const found = report.map(([name, version, licence]) => ({ name, version, licence }));
  const isOf = (entry, path, version) => entry.version === version && `${entry.name}/`.startsWith(`${path}/`);
  const missing = modules
    .filter(([path, version]) => !found.some((entry) => isOf(entry, path, version)))
    .map(([name, version]) => ({ name, version, licence: "" }));
  return [...found, ...missing];
}

// npmEntries takes from a lock file what is installed without development.
export function npmEntries(lock) {
  const marker = "node_modules/";
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path.includes(marker) && !entry.dev && !entry.link)
    .map(([path, entry]) => ({ name: path.slice(path.lastIndexOf(marker) + marker.length), version: entry.version, licence: entry.license ?? "" }));
}

function lines(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 26 });
  if (result.error) throw new Error(`${command} cannot be run (${result.error.code}); use make licences, which installs it`);
  if (result.status !== 0) throw new Error(`${command} failed:\n${result.stderr}`);
  return result.stdout.split("\n").filter((line) => line !== "").map((line) => line.split("\t"));
}

function main() {
  const modules = lines("go", ["list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}{{end}}{{end}}", binary]);
  const report = lines("go-licenses", ["report", binary, "--ignore", own, "--template", "scripts/licences.tpl"]);
  const entries = [
    ...goEntries([...new Map(modules).entries()], report),
    ...npmEntries(JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"))),
  ];
  for (const { name, version, licence } of entries) {
    process.stdout.write(`${name.padEnd(72)} ${version.padEnd(24)} ${licence || "UNKNOWN"}\n`);
  }
  const problems = judge(entries);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  process.stdout.write(`${entries.length} entries, ${problems.length} not allowed\n`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main();
  } catch (error) {
    process.stderr.write(`licences: ${error.message}\n`);
    process.exitCode = 1;
  }
}
