/** A page that only watches: the least that an app takes of the client. */
import { createVerigate } from "@verigate/client";

const page = new URLSearchParams(location.search);
const verigate = createVerigate({ baseUrl: location.origin, token: () => page.get("token") ?? "" });
for await (const update of verigate.watch(page.get("id") ?? "")) {
  document.body.textContent = String(update.result);
}
