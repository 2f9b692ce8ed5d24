// Watches one verification with WatchStatus and comes back by itself until a
// message with `terminal` was seen. A stream that merely ended says nothing.

import { StreamError, encodeEnvelope, readEnvelopes } from "./envelope.js";

const PROCEDURE = "/verigate.v1.VerificationService/WatchStatus";

const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 30_000;
// Three heartbeats of 15 s.
const SILENCE_MS = 45_000;

// Errors that coming back cannot heal.
const FINAL_CODES = new Set([
  "unauthenticated",
  "permission_denied",
  "not_found",
  "invalid_argument",
  "unimplemented",
]);

// What an HTTP status means when the answer is not a stream (Connect protocol
// reference, "Error codes"). Anything else is worth another try.
const STATUS_CODES = {
  400: "invalid_argument",
  401: "unauthenticated",
  403: "permission_denied",
  404: "unimplemented",
  405: "unimplemented",
  415: "unimplemented",
};

const REOPEN = new StreamError("canceled", "opened anew");
const STOP = new StreamError("canceled", "stopped");
const SILENCE = new StreamError("unavailable", "nothing was heard for 45 seconds");

// backoff is full jitter: anything from nothing to a bound that doubles with
// each failure in a row.
export function backoff(failures, random) {
  return random() * Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** failures);
}

// durationMs reads the JSON form of a google.protobuf.Duration, such as "1.2s".
export function durationMs(text) {
  const seconds = Number.parseFloat(text);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

function startTimer(callback, ms) {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}

// StatusWatch is one watch. Options:
//
//   id, token      the verification and its client token
//   version        the last version that was seen, 0 at first
//   onUpdate       called with each status message, heartbeats included
//   onLine         called with how the line is: {phase, reason, waitMs, failures}
//                  and phase connecting, live, waiting, done or refused
//   fetch, random, startTimer   the world; tests bring their own
export class StatusWatch {
  #options;
  #version;
  #failures = 0;
  #stopped = false;
  #hidden = false;
  #attempt = new AbortController();
  #endWait = () => {};
  #endSilence = () => {};

  constructor(options) {
    this.#options = {
      fetch: (...request) => fetch(...request),
      random: Math.random,
      startTimer,
      ...options,
    };
    this.#version = options.version ?? 0;
  }

  // run watches until a terminal message, a final error or stop. It never
  // throws; onLine tells how it ended.
  async run() {
    while (!this.#stopped) {
      this.#attempt = new AbortController();
      const outcome = await this.#tryOnce(this.#attempt);
      if (this.#stopped) {
        return;
      }
      if (outcome.phase) {
        this.#options.onLine({ ...outcome, failures: this.#failures });
        return;
      }
      await this.#wait(outcome);
    }
  }

  // reopen replaces the stream at once: after a sleep, a tab switch or a change
  // of network the old one may be dead without saying so.
  reopen() {
    this.#attempt.abort(REOPEN);
    this.#endWait();
  }

  // setHidden stops the watchdog while the page is hidden, when timers are not
  // to be trusted, and opens the stream anew when it is shown again.
  setHidden(hidden) {
    this.#hidden = hidden;
    this.#endSilence();
    if (!hidden) {
      this.reopen();
    }
  }

  // stop ends the watch and its request.
  stop() {
    this.#stopped = true;
    this.#attempt.abort(STOP);
    this.#endWait();
  }

  async #tryOnce(attempt) {
    this.#options.onLine({ phase: "connecting", failures: this.#failures });
    this.#expectMessage(attempt);
    try {
      const response = await this.#request(attempt.signal);
      for await (const { end, message } of readEnvelopes(response.body)) {
        if (end) {
          throw endOf(message);
        }
        this.#expectMessage(attempt);
        const outcome = this.#receive(message);
        if (outcome) {
          return outcome;
        }
      }
      throw new StreamError("unavailable", "the stream was cut");
    } catch (error) {
      return this.#failed(attempt, error);
    } finally {
      this.#endSilence();
      attempt.abort(STOP);
    }
  }

  async #request(signal) {
    const response = await this.#options.fetch(PROCEDURE, {
      method: "POST",
      headers: {
        "Content-Type": "application/connect+json",
        "Connect-Protocol-Version": "1",
        Authorization: `Bearer ${this.#options.token}`,
      },
      body: encodeEnvelope({ id: this.#options.id, afterVersion: String(this.#version) }),
      cache: "no-store",
      credentials: "omit",
      signal,
    });
    if (!response.ok) {
      throw new StreamError(STATUS_CODES[response.status] ?? "unavailable", `the gateway answered ${response.status}`);
    }
    return response;
  }

  // receive hands a message on; it returns an outcome if the stream is over.
  #receive(update) {
    this.#version = Math.max(this.#version, Number(update.version ?? 0));
    this.#failures = 0;
    this.#options.onLine({ phase: "live", failures: 0 });
    this.#options.onUpdate(update);
    if (update.terminal) {
      return { phase: "done" };
    }
    if (update.kind === "STATUS_UPDATE_KIND_DRAIN") {
      return { waitMs: durationMs(update.reconnectAfter), reason: "the gateway asked to come back" };
    }
    return null;
  }

  #failed(attempt, error) {
    // Browsers report an abort in their own words; the signal knows why.
    const cause = attempt.signal.aborted ? attempt.signal.reason : error;
    if (cause === REOPEN) {
      return { waitMs: 0, reason: REOPEN.message };
    }
    if (FINAL_CODES.has(cause.code)) {
      return { phase: "refused", reason: cause.message };
    }
    const waitMs = backoff(this.#failures, this.#options.random);
    this.#failures += 1;
    // What fetch itself throws has no code, and each browser words it otherwise.
    const reason = cause instanceof StreamError ? cause.message : "no connection to the gateway";
    return { waitMs, reason, lost: true };
  }

  async #wait({ waitMs, reason, lost = false }) {
    if (waitMs <= 0) {
      return;
    }
    const waited = new Promise((resolve) => {
      const cancel = this.#options.startTimer(resolve, waitMs);
      this.#endWait = () => {
        cancel();
        resolve();
      };
    });
    this.#options.onLine({ phase: "waiting", waitMs, reason, lost, failures: this.#failures });
    await waited;
    this.#endWait = () => {};
  }

  // expectMessage arms the watchdog anew.
  #expectMessage(attempt) {
    this.#endSilence();
    this.#endSilence = this.#hidden
      ? () => {}
      : this.#options.startTimer(() => attempt.abort(SILENCE), SILENCE_MS);
  }
}

// endOf is what the end-of-stream message says. An end without an error is no
// result either: nothing terminal was seen before it.
function endOf({ error }) {
  if (error) {
    return new StreamError(error.code ?? "unknown", error.message);
  }
  return new StreamError("unavailable", "the stream ended before a result");
}
