// The page's calls as curl commands. The API key stays a shell variable.

import { encodeEnvelope } from "./envelope.js";

// Stands in until there is a verification; as long as a real id, because the
// stream's request states its length.
const NO_ID = "00000000-0000-0000-0000-000000000000";

// curlCommands returns the texts {start, wait, watch}.
export function curlCommands({ flow, reference, id = NO_ID, version = 0 }) {
  const start = { flow, subject: "demo-user" };
  if (reference) {
    start.reference = reference;
  }
  return {
    start: unary("StartVerification", start),
    wait: unary("GetVerification", { id, afterVersion: String(version), wait: "60s" }),
    watch: stream("WatchStatus", { id }),
  };
}

function unary(method, message) {
  return [
    ...call(method),
    '  -H "Content-Type: application/json"',
    `  -d ${quoted(JSON.stringify(message))}`,
  ].join(" \\\n");
}

function stream(method, message) {
  const framed = [...encodeEnvelope(message)];
  const header = framed.slice(0, 5).map((byte) => `\\${byte.toString(8).padStart(3, "0")}`);
  return [
    `printf ${quoted(header.join("") + JSON.stringify(message))} |`,
    ...call(method),
    '  -H "Content-Type: application/connect+json"',
    '  -H "Connect-Protocol-Version: 1"',
    "  --no-buffer --data-binary @- --output -",
  ].join(" \\\n");
}

function call(method) {
  return [
    `curl -s "$VERIGATE_URL/verigate.v1.VerificationService/${method}"`,
    '  -H "Authorization: Bearer $VERIGATE_API_KEY"',
  ];
}

// quoted makes one word for a POSIX shell.
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
