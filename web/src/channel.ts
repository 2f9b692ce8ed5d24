/**
 * How the tab in which the person came back learns what the first tab hears.
 *
 *     second tab  ── { ask: run } ──────────►  first tab
 *                 ◄── { run, step } ─────────  now, and with each new step
 */
import { storageName, type Step } from "./session.js";

/** What is said on the channel. */
type Message = { readonly ask: string } | { readonly run: string; readonly step: Step };

/** Answers whoever asks about this run, until it is closed. */
export function answer(run: string, newest: () => Step | undefined): { tell(step: Step): void; close(): void } {
  const channel = new BroadcastChannel(storageName);
  const tell = (step: Step): void => channel.postMessage({ run, step } satisfies Message);
  channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
    const step = newest();
    if ("ask" in data && data.ask === run && step !== undefined) {
      tell(step);
    }
  });
  return { tell, close: () => channel.close() };
}

/** Asks the first tab about a run and hears what it says, until it is closed. */
export function ask(run: string, hear: (step: Step) => void): { close(): void } {
  const channel = new BroadcastChannel(storageName);
  channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
    if ("run" in data && data.run === run) {
      hear(data.step);
    }
  });
  channel.postMessage({ ask: run } satisfies Message);
  return { close: () => channel.close() };
}
