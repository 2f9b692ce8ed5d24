// Draws what app.js tells it. It knows the page's elements and no network.

import { resultOf, stateOf } from "./words.js";

const PHASE_WORDS = {
  idle: "Not started",
  connecting: "Connecting",
  live: "Live",
  waiting: "Reconnecting",
  done: "Done",
  refused: "Stopped",
};

const $ = (id) => document.getElementById(id);

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

// setText writes only what differs, so that screen readers hear news only.
function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

// showStarted empties the timeline and offers the hosted page.
export function showStarted({ id, hostedURL }) {
  $("timeline").replaceChildren();
  setText($("verification-id"), id);
  showResult({ name: "pending", title: "Pending" });
  offerHostedPage(hostedURL);
}

function offerHostedPage(url) {
  for (const link of [$("open"), $("open-here")]) {
    link.href = url;
  }
  $("open").removeAttribute("aria-disabled");
  $("open-hint").hidden = true;
  $("open-here-hint").hidden = false;
}

function withdrawHostedPage() {
  $("open").removeAttribute("href");
  $("open").setAttribute("aria-disabled", "true");
  setText($("open-hint"), "This verification is over. Start another one.");
  $("open-hint").hidden = false;
  $("open-here-hint").hidden = true;
}

// showUpdate draws a new version: the result and an entry of the timeline.
export function showUpdate(update) {
  const { name, title, text } = stateOf(update);
  const result = resultOf(update);
  showResult(result);
  const reasons = (update.reasonCodes ?? []).join(", ");
  addEntry({
    kind: result.name,
    time: new Date(update.updateTime ?? Date.now()),
    title,
    text: reasons ? `${text} Reason: ${reasons}.` : text,
    facts: [name, `version ${update.version}`, `result ${result.name}`],
  });
  if (update.terminal) {
    withdrawHostedPage();
  }
}

function showResult({ name, title }) {
  $("result").dataset.result = name;
  setText($("result-word"), title);
}

// showLineEvent adds what happened to the line, not to the verification.
export function showLineEvent(title, text) {
  addEntry({ kind: "line", time: new Date(), title, text, facts: [] });
}

function addEntry({ kind, time, title, text, facts }) {
  const entry = document.createElement("li");
  entry.dataset.kind = kind;
  const stamp = make("time", "", clock.format(time));
  stamp.dateTime = time.toISOString();
  entry.append(make("strong", "", title), stamp, make("p", "", text));
  if (facts.length > 0) {
    const row = make("p", "facts", "");
    row.append(...facts.map((fact) => make("code", "", fact)));
    entry.append(row);
  }
  $("timeline").append(entry);
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

// showLine draws how the line is.
export function showLine(line) {
  const { phase, failures } = line;
  const again = phase === "connecting" && failures > 0;
  $("line").dataset.phase = phase;
  setText($("line-word"), again ? PHASE_WORDS.waiting : PHASE_WORDS[phase]);
  // While trying again, the reason of the failure stays readable.
  if (!again) {
    setText($("line-detail"), detailOf(line));
  }
}

function detailOf({ phase, reason, waitMs }) {
  switch (phase) {
    case "connecting":
      return "Opening the stream.";
    case "live":
      return `Last message at ${clock.format(new Date())}.`;
    case "waiting":
      return `${sentence(reason)} Next try in ${seconds(waitMs)}.`;
    case "refused":
      return `${sentence(reason)} Trying again would not help; start another verification.`;
    default:
      return "A terminal message was seen; the stream is closed.";
  }
}

// beat lets the dot blink once.
export function beat() {
  for (const animation of $("line").querySelector(".dot").getAnimations({ subtree: true })) {
    animation.cancel();
    animation.play();
  }
}

function sentence(reason) {
  return `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`;
}

function seconds(ms) {
  return `${Math.max(ms / 1000, 0.1).toFixed(1)} s`;
}

// showProblem says why a start did not work; an empty text clears it.
export function showProblem(text) {
  setText($("problem"), text);
}

// showStarting keeps the button in place while a start is under way.
export function showStarting(starting) {
  const button = $("start").querySelector("button");
  button.disabled = starting;
  setText(button, starting ? "Starting…" : "Start a verification");
}

// showCommands fills the curl commands.
export function showCommands({ start, wait, watch }) {
  setText($("curl-start"), start);
  setText($("curl-wait"), wait);
  setText($("curl-watch"), watch);
}
