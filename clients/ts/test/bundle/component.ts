/** The same page with the hook; React is the app's own and not counted. */
import { createVerigate } from "@verigate/client";
import { useWatch } from "@verigate/client/react";
import { createElement } from "react";
import { createRoot } from "react-dom/client";

const page = new URLSearchParams(location.search);
const verigate = createVerigate({ baseUrl: location.origin, token: () => page.get("token") ?? "" });

function Result(): string {
  const { update, line, error } = useWatch(verigate, page.get("id") ?? undefined);
  return error?.message ?? String(update?.result ?? line.state);
}

createRoot(document.body).render(createElement(Result));
