// The page on which the person comes back. In the tab that started it goes on
// to the demo page, which still knows what to watch; in another tab it shows
// what the first one hears.

import { resultOf } from "./words.js";

const STORED = "verigate-demo";
const PATIENCE_MS = 1500;

const run = new URLSearchParams(location.search).get("run");
const box = document.getElementById("result");
const word = document.getElementById("result-word");

function startedHere() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED))?.run === run;
  } catch {
    return false;
  }
}

function listen() {
  const channel = new BroadcastChannel(STORED);
  const silence = setTimeout(() => {
    word.textContent = "The first tab does not answer";
  }, PATIENCE_MS);
  channel.addEventListener("message", ({ data }) => {
    if (data.run !== run || !data.update) {
      return;
    }
    clearTimeout(silence);
    const { name, title } = resultOf(data.update);
    box.dataset.result = name;
    word.textContent = title;
  });
  channel.postMessage({ ask: run });
}

if (run && startedHere()) {
  location.replace("/");
} else {
  listen();
}
