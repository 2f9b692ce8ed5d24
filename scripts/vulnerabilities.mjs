// Looks up known vulnerabilities in what the gateway is made of: Go modules and
// the standard library, as far as our code reaches them, and the npm packages
// that an app gets with a client. `make vulnerabilities` runs it.
//
//	node scripts/vulnerabilities.mjs [package pattern …]
//
// It fails on a vulnerability and on a check that broke. A database that does
// not answer is neither: it is said loudly, and fails only where VULN_OFFLINE
// is "fail". VULN_DB names another database than govulncheck's own, in the same
// format; npm asks the registry that it is configured with.

import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const exitFound = 3; // govulncheck's own code for findings in text form

function run(command, args, stdio = "pipe") {
  const result = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 26, stdio });
  if (result.error) throw new Error(`${command} cannot be run (${result.error.code}); use make vulnerabilities, which installs it`);
  return result;
}

const lastLine = (text) => text.trim().split("\n").at(-1);

// A query reads the database's index and nothing else, not even our code: when
// it fails there is no database. Whatever fails after that is a real failure.
function checkGo(patterns) {
  const db = process.env.VULN_DB ? ["-db", process.env.VULN_DB] : [];
  const probe = run("govulncheck", ["-mode", "query", "-format", "json", ...db, "probe.invalid@v0.0.0"]);
  if (probe.status !== 0) return { verdict: "not checked", reason: lastLine(probe.stderr) };
  const scan = run("govulncheck", [...db, ...patterns], "inherit");
  if (scan.status === 0) return { verdict: "clean" };
  return scan.status === exitFound
    ? { verdict: "found", reason: "govulncheck lists them above; take the fixed versions" }
    : { verdict: "broken", reason: `govulncheck ended with ${scan.status ?? scan.signal}` };
}

// npm's exit code is 1 for everything. A report says its version; a failure of
// npm's own has a code; what has neither is a registry that did not answer.
function checkNpm() {
  const audit = run("npm", ["audit", "--omit=dev", "--package-lock-only", "--json"]);
  let report;
  try {
    report = JSON.parse(audit.stdout);
  } catch {
    return { verdict: "broken", reason: `npm audit printed no report: ${lastLine(audit.stderr)}` };
  }
  if (report.auditReportVersion === undefined) {
    const verdict = report.error?.code ? "broken" : "not checked";
    return { verdict, reason: report.message ?? report.error?.summary ?? lastLine(audit.stderr) };
  }
  const found = Object.values(report.vulnerabilities);
  for (const { name, severity, range, via } of found) {
    const titles = via.map((cause) => (typeof cause === "string" ? `through ${cause}` : `${cause.title} ${cause.url}`));
    process.stdout.write(`npm: ${name} ${range}: ${severity}: ${titles.join("; ")}\n`);
  }
  return found.length === 0 ? { verdict: "clean" } : { verdict: "found", reason: "npm audit lists them above; take the fixed versions" };
}

function main() {
  const offline = process.env.VULN_OFFLINE || "report";
  if (!["report", "fail"].includes(offline)) {
    throw new Error(`VULN_OFFLINE is ${JSON.stringify(offline)}; it may be report or fail`);
  }
  const patterns = process.argv.slice(2);
  const fails = { "clean": false, "found": true, "broken": true, "not checked": offline === "fail" };
  const results = { "Go modules": checkGo(patterns.length > 0 ? patterns : ["./..."]), "npm packages": checkNpm() };
  for (const [what, { verdict, reason }] of Object.entries(results)) {
    const line = {
      "clean": `${what}: no known vulnerability`,
      "found": `VULNERABLE: ${what}: ${reason}`,
      "broken": `FAILED: ${what}: ${reason}`,
      "not checked": `NOT CHECKED: ${what}: the vulnerability database could not be reached; run make vulnerabilities where it can (${reason})`,
    }[verdict];
    process.stdout.write(`${line}\n`);
    if (fails[verdict]) process.exitCode = 1;
  }
}

try {
  main();
} catch (error) {
  process.stderr.write(`vulnerabilities: ${error.message}\n`);
  process.exitCode = 1;
}
