/**
 * The page's calls as curl commands. The API key stays a shell variable. The
 * stream's request is framed as the Connect protocol says (Connect protocol
 * reference, "Streaming RPCs"): one flag byte, four bytes of big-endian length,
 * then the message.
 */

/** What the commands are about; without an id there is nothing started yet. */
export interface Subject {
  readonly flow: string;
  readonly reference: string;
  readonly id?: string | undefined;
  readonly version?: number | undefined;
}

/** One command with its title. */
export interface Command {
  readonly name: "start" | "wait" | "watch";
  readonly title: string;
  readonly text: string;
}

/**
 * Stands in until there is a verification; as long as a real id, because the
 * stream's request states its length.
 */
const noId = "00000000-0000-0000-0000-000000000000";

/** The three commands. */
export function curlCommands({ flow, reference, id = noId, version = 0 }: Subject): readonly Command[] {
  const started = { flow, subject: "demo-user", ...(reference === "" ? {} : { reference }) };
  return [
    { name: "start", title: "Start", text: unary("StartVerification", started) },
    {
      name: "wait",
      title: "Wait for the next change",
      text: unary("GetVerification", { id, afterVersion: String(version), wait: "60s" }),
    },
    { name: "watch", title: "Stream", text: stream("WatchStatus", { id }) },
  ];
}

function unary(method: string, message: object): string {
  return [
    ...call(method),
    '  -H "Content-Type: application/json"',
    `  -d ${quoted(JSON.stringify(message))}`,
  ].join(" \\\n");
}

function stream(method: string, message: object): string {
  const body = JSON.stringify(message);
  return [
    `printf ${quoted(header(body) + body.replaceAll("\\", "\\\\").replaceAll("%", "%%"))} |`,
    ...call(method),
    '  -H "Content-Type: application/connect+json"',
    '  -H "Connect-Protocol-Version: 1"',
    "  --no-buffer --data-binary @- --output -",
  ].join(" \\\n");
}

/** The five bytes before a message, as printf's octal escapes. */
function header(body: string): string {
  const bytes = new Uint8Array(5);
  new DataView(bytes.buffer).setUint32(1, new TextEncoder().encode(body).length);
  return [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}

function call(method: string): string[] {
  return [
    `curl -s "$VERIGATE_URL/verigate.v1.VerificationService/${method}"`,
    '  -H "Authorization: Bearer $VERIGATE_API_KEY"',
  ];
}

/** Makes one word for a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
