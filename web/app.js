// Wires the page: the form, the watch, and what has to survive a trip to the
// hosted page in this very tab.

import { curlCommands } from "./curl.js";
import { StatusWatch } from "./stream.js";
import * as view from "./view.js";

// Lives as long as the tab. The client token in it is good for watching this
// one verification only.
const STORED = "verigate-demo";

const form = document.getElementById("start");
const channel = new BroadcastChannel(STORED);

let session = null;
let watch = null;
let lost = false;

function remember() {
  sessionStorage.setItem(STORED, JSON.stringify(session));
}

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED));
  } catch {
    return null;
  }
}

async function start() {
  view.showProblem("");
  view.showStarting(true);
  try {
    const { flow, reference } = Object.fromEntries(new FormData(form));
    const response = await fetch("/demo/start", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ flow, reference }),
    });
    if (!response.ok) {
      view.showProblem((await response.text()).trim());
      return;
    }
    const answer = await response.json();
    session = {
      id: answer.verification_id,
      token: answer.client_token,
      hostedURL: answer.hosted_url,
      run: answer.run,
      updates: [],
    };
    remember();
    follow();
  } catch {
    view.showProblem("The gateway does not answer. Check that it is running, then try again.");
  } finally {
    view.showStarting(false);
  }
}

// follow draws the session as far as it is known and watches the rest.
function follow() {
  watch?.stop();
  lost = false;
  view.showStarted(session);
  session.updates.forEach(view.showUpdate);
  showCommands();
  const latest = session.updates.at(-1);
  if (latest?.terminal) {
    view.showLine({ phase: "done", failures: 0 });
    return;
  }
  const opened = new StatusWatch({
    id: session.id,
    token: session.token,
    version: Number(latest?.version ?? 0),
    // A watch that was stopped has nothing more to say.
    onUpdate: (update) => opened === watch && receive(update),
    onLine: (line) => opened === watch && showLine(line),
  });
  watch = opened;
  watch.setHidden(document.hidden);
  watch.run();
}

function receive(update) {
  view.beat();
  const seen = Number(session.updates.at(-1)?.version ?? 0);
  if (Number(update.version ?? 0) <= seen) {
    return;
  }
  session.updates.push(update);
  remember();
  view.showUpdate(update);
  showCommands();
  tellOtherTabs();
}

function showLine(line) {
  view.showLine(line);
  if (line.lost && !lost) {
    lost = true;
    view.showLineEvent("Line lost", "The page comes back by itself and asks for what it has not seen.");
  }
  if (line.phase === "live" && lost) {
    lost = false;
    view.showLineEvent("Line back", "Each message is the whole state, so nothing is missing.");
  }
  if (line.phase === "refused") {
    // A reload must not ask again for what this gateway does not have.
    sessionStorage.removeItem(STORED);
  }
}

function tellOtherTabs() {
  channel.postMessage({ run: session.run, update: session.updates.at(-1) });
}

function showCommands() {
  const { flow, reference } = Object.fromEntries(new FormData(form));
  view.showCommands(
    curlCommands({ flow, reference, id: session?.id, version: session?.updates.at(-1)?.version }),
  );
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it";
  }
  setTimeout(() => {
    button.textContent = "Copy";
  }, 2000);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
form.addEventListener("input", showCommands);
document.querySelectorAll("[data-copy]").forEach((button) => {
  button.addEventListener("click", () => copy(button));
});
channel.addEventListener("message", ({ data }) => {
  if (data.ask && data.ask === session?.run && session.updates.length > 0) {
    tellOtherTabs();
  }
});
document.addEventListener("visibilitychange", () => watch?.setHidden(document.hidden));
window.addEventListener("online", () => watch?.reopen());
window.addEventListener("pageshow", (event) => {
  // Back from the browser's cache: the stream did not survive it.
  if (event.persisted) {
    watch?.reopen();
  }
});

session = recall();
if (session) {
  follow();
} else {
  showCommands();
}
