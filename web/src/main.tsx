/**
 * The demo page's entry. One document serves two addresses: the demo itself, and
 * the place to which people come back from the hosted page.
 */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Demo } from "./demo.js";
import { recall } from "./session.js";
import { Returned } from "./returned.js";
import "./style/base.css";
import "./style/form.css";
import "./style/live.css";
import "./style/code.css";

const root = createRoot(document.getElementById("root")!);
const run = location.pathname === "/demo/returned" ? (new URLSearchParams(location.search).get("run") ?? "") : undefined;

if (run !== undefined && run !== "" && recall()?.run === run) {
  // The tab that started goes on: it still knows what to watch.
  location.replace("/");
} else {
  root.render(<StrictMode>{run === undefined ? <Demo /> : <Returned run={run} />}</StrictMode>);
}
