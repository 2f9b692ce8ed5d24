// Leaves watches in every way and does nothing else: ten_lines.test.ts looks
// whether the program then ends by itself, and quietly.
import { createVerigate, type WatchOptions } from "@verigate/client";

process.on("unhandledRejection", (error) => {
  console.log("unhandled", error);
  process.exitCode = 1;
});

const { VERIGATE_URL: baseUrl = "", VERIGATE_API_KEY: token = "" } = process.env;
const verigate = createVerigate({ baseUrl, token });
const unreachable = createVerigate({ baseUrl: "http://127.0.0.1:1", token });
const { verification } = await verigate.start({ flow: "kyc", subject: "somebody" });

for await (const update of verigate.watch(verification.id)) {
  console.log("left at", update.version);
  break;
}

async function watch(client: typeof verigate, options: WatchOptions, seen: () => void): Promise<void> {
  try {
    for await (const update of client.watch(verification.id, options)) {
      console.log("aborted at", update.version);
      seen();
    }
  } catch (error) {
    console.log(error);
  }
}

const open = new AbortController();
await watch(verigate, { signal: open.signal }, () => open.abort("enough"));

const waiting = new AbortController();
const onLine: WatchOptions["onLine"] = ({ state }) => state === "waiting" && waiting.abort("still nobody");
await watch(unreachable, { signal: waiting.signal, onLine }, () => undefined);

await verigate.get("no id").catch((error) => console.log(error.code));
