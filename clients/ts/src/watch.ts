/**
 * The watch: one async iterable that outlives streams, nodes and networks.
 *
 *     ┌─► stream, or a poll where no stream can be had ──► message ──► yield
 *     │        │ cut, silent, refused, drained                │ terminal
 *     └── rest ◄┘                                             └──► end
 *
 * It is pulled: nothing is read ahead of the consumer, and while the consumer is
 * busy no watchdog runs. It owns no state of the client but its own.
 */
import { StatusUpdateKind, type StatusUpdate } from "../../../gen/ts/verigate/v1/verification_pb.js";
import { Attempt } from "./attempt.js";
import { VerigateError } from "./errors.js";
import { durationMs, judge } from "./failure.js";
import { takeLane, type Lane } from "./lanes.js";
import type { Line } from "./line.js";
import type { Member } from "./presence.js";
import { AT_ONCE, Rest, Retry } from "./retry.js";
import { reasonOf } from "./signal.js";
import type { Shared, WatchOptions } from "./terms.js";
import { messageOf, updateOf, verificationOf } from "./updates.js";

const LONGEST_FIRST_SILENCE_MS = 10_000;
const LONG_POLL_MS = 25_000;
const POLL_SLACK_MS = 10_000;
const SHORT_POLL_PAUSE_MS = 3000;
/** An empty answer to a long poll in less time means that it was not a long one. */
const HASTY_POLL_MS = 1000;
const MISSED_HEARTBEATS = 3;

const RETURNED = new Error("the consumer returned");

/** Watch is one iteration. Its consumer pulls messages(). */
export class Watch implements Member {
  readonly #shared: Shared;
  readonly #id: string;
  readonly #options: WatchOptions;
  readonly #retry: Retry;
  #attempt: Attempt | undefined;
  #wake: () => void = () => undefined;
  #open = false;
  #stopped: { readonly reason: unknown } | undefined;
  #last: bigint;
  #answered = false;
  #sawTerminal = false;
  #refused = false;
  #hurried = false;
  #line: Line["state"] | undefined;

  constructor(shared: Shared, id: string, options: WatchOptions) {
    this.#shared = shared;
    this.#id = id;
    this.#options = options;
    this.#last = options.afterVersion ?? 0n;
    this.#retry = new Retry(shared.seams, shared.canStream());
  }

  async *messages(): AsyncGenerator<StatusUpdate, void, void> {
    this.#begin();
    try {
      for (;;) {
        const rest = yield* this.#attemptOnce();
        if (rest === undefined) {
          return;
        }
        await this.#rest(rest);
      }
    } catch (error) {
      if (error !== RETURNED) {
        this.#finish(error instanceof VerigateError ? forLog(error) : undefined);
        throw error;
      }
    } finally {
      this.#finish();
    }
  }

  /** Ends the call at once, also while the consumer is busy. */
  stop(reason: unknown = RETURNED): void {
    this.#stopped ??= { reason };
    this.#wake();
    try {
      this.#finish();
    } catch (error) {
      // onLine threw: the consumer's pull gets it, not whoever aborted.
      this.#stopped = { reason: error };
    }
  }

  paused(): void {
    this.#attempt?.disarm();
  }

  resumed(): void {
    this.#hurried = true;
    this.#attempt?.end("dropped");
    this.#wake();
  }

  readonly #aborted = (): void => this.stop(reasonOf(this.#options.signal as AbortSignal));

  #begin(): void {
    const { signal } = this.#options;
    if (signal?.aborted) {
      throw reasonOf(signal);
    }
    signal?.addEventListener("abort", this.#aborted);
    this.#open = true;
    this.#shared.presence.join(this);
  }

  #finish(reason?: string): void {
    if (!this.#open) {
      return;
    }
    this.#open = false;
    this.#attempt?.end("closed");
    this.#options.signal?.removeEventListener("abort", this.#aborted);
    this.#shared.presence.leave(this);
    this.#tell(reason === undefined ? { state: "ended" } : { state: "ended", reason });
  }

  // Gives undefined when the watch is done.
  async *#attemptOnce(): AsyncGenerator<StatusUpdate, Rest | undefined, void> {
    const attempt = new Attempt(this.#shared.seams);
    this.#attempt = attempt;
    this.#hurried = false;
    try {
      if (!this.#retry.streams) {
        return yield* this.#poll(attempt, this.#line === "polling" ? LONG_POLL_MS : 0);
      }
      const lane = await this.#lane(attempt);
      if (lane instanceof Rest) {
        return lane;
      }
      if (lane !== undefined) {
        return yield* this.#stream(attempt);
      }
      const rest = yield* this.#poll(attempt, 0);
      return rest === AT_ONCE ? this.#shortPause() : rest;
    } finally {
      attempt.end("closed");
    }
  }

  // The attempt holds the lane; one that comes too late is given back.
  #lane(attempt: Attempt): Promise<Lane | undefined | Rest> {
    const taking = takeLane(this.#shared.baseUrl).then((lane) => {
      if (lane !== undefined) {
        attempt.hold(lane);
      }
      return lane;
    });
    return this.#hear(attempt, taking);
  }

  async *#stream(attempt: Attempt): AsyncGenerator<StatusUpdate, Rest | undefined, void> {
    const { calls, heartbeatMs, seams } = this.#shared;
    this.#tell({ state: "connecting" });
    const begun = seams.now();
    const request = { id: this.#id, afterVersion: this.#last, followRevisions: this.#options.followRevisions ?? false };
    const messages = calls.watchStatus(request, { signal: attempt.signal })[Symbol.asyncIterator]();
    const silenceMs = MISSED_HEARTBEATS * heartbeatMs;
    this.#arm(attempt, Math.min(LONGEST_FIRST_SILENCE_MS, silenceMs));
    for (let any = false; ; any = true) {
      const heard = await this.#hear(attempt, messages.next().then(messageOf));
      if (heard instanceof Rest) {
        if (!any && heard.why === "failed") {
          this.#retry.barrenStream();
        }
        return heard;
      }
      this.#heard("live", any || heard.version > this.#last);
      if (heard.kind === StatusUpdateKind.DRAIN) {
        const ms = this.#retry.afterDrain(durationMs(heard.reconnectAfter), seams.now() - begun < heartbeatMs);
        return new Rest(ms, "the gateway asked to come back", "drained");
      }
      if (heard.kind !== StatusUpdateKind.HEARTBEAT && (yield* this.#deliver(heard))) {
        return undefined;
      }
      this.#arm(attempt, silenceMs);
    }
  }

  async *#poll(attempt: Attempt, waitMs: number): AsyncGenerator<StatusUpdate, Rest | undefined, void> {
    const { calls, seams } = this.#shared;
    if (this.#line !== "polling") {
      this.#tell({ state: "connecting" });
    }
    const begun = seams.now();
    const timeoutMs = waitMs + POLL_SLACK_MS;
    this.#arm(attempt, timeoutMs);
    const asked = calls.getVerification(
      { id: this.#id, afterVersion: this.#last, wait: { seconds: BigInt(waitMs / 1000) } },
      { signal: attempt.signal, timeoutMs },
    );
    const heard = await this.#hear(attempt, asked.then(verificationOf));
    if (heard instanceof Rest) {
      if (heard.why === "failed") {
        this.#retry.failedPoll();
      }
      return heard;
    }
    const hasty = waitMs > 0 && heard.version <= this.#last && seams.now() - begun < HASTY_POLL_MS;
    const update = updateOf(heard, !this.#answered);
    this.#heard("polling", true);
    if (yield* this.#deliver(update)) {
      return undefined;
    }
    return hasty ? this.#shortPause() : AT_ONCE;
  }

  // Hands an update on if it is news. True when it ends the watch.
  *#deliver(update: StatusUpdate): Generator<StatusUpdate, boolean, void> {
    if (update.version > this.#last || (update.terminal && !this.#sawTerminal)) {
      this.#last = update.version > this.#last ? update.version : this.#last;
      this.#sawTerminal ||= update.terminal;
      yield update;
    }
    return update.terminal && !this.#options.followRevisions;
  }

  // Waits for work as long as the attempt lasts.
  async #hear<T>(attempt: Attempt, work: Promise<T>): Promise<T | Rest> {
    try {
      const got = await attempt.race(work);
      if (attempt.why === undefined) {
        return got;
      }
      return this.#failed(attempt, undefined);
    } catch (error) {
      return this.#failed(attempt, error);
    } finally {
      attempt.disarm();
    }
  }

  // Only news, or a stream that goes on, shows that all is well: a gateway that
  // repeats the state and fails each time must not be asked without end.
  #heard(state: "live" | "polling", well: boolean): void {
    this.#answered = true;
    this.#refused &&= !well;
    this.#retry.heard(state === "live", well);
    this.#tell({ state });
  }

  // Throws what ends the watch.
  #failed(attempt: Attempt, thrown: unknown): Rest {
    this.#throwIfStopped();
    if (attempt.why === "dropped") {
      return AT_ONCE;
    }
    const failure = judge(attempt.why === "silent" ? new VerigateError("unavailable", "nothing was heard for too long") : thrown);
    if (failure.cannotStream) {
      this.#retry.cannotStream();
      return AT_ONCE;
    }
    if (!failure.final) {
      return new Rest(this.#retry.afterFailure(failure.leastMs), forLog(failure.error), "failed");
    }
    if (failure.error.code !== "unauthenticated" || !this.#shared.tokenRenews || this.#refused) {
      throw failure.error;
    }
    this.#refused = true;
    return AT_ONCE;
  }

  #shortPause(): Rest {
    return new Rest(this.#retry.about(SHORT_POLL_PAUSE_MS), "", "turn");
  }

  async #rest(rest: Rest): Promise<void> {
    if (rest.why !== "turn") {
      this.#tell({ state: "waiting", retryInMs: Math.ceil(rest.ms), reason: rest.reason });
    }
    if (rest.ms > 0 && !this.#hurried && this.#stopped === undefined) {
      await new Promise<void>((resolve) => {
        const callOff = this.#shared.seams.after(rest.ms, resolve);
        this.#wake = () => {
          callOff();
          resolve();
        };
      });
    }
    this.#throwIfStopped();
  }

  #throwIfStopped(): void {
    if (this.#stopped !== undefined) {
      throw this.#stopped.reason;
    }
  }

  #arm(attempt: Attempt, ms: number): void {
    if (!this.#shared.presence.paused) {
      attempt.arm(ms);
    }
  }

  #tell(line: Line): void {
    if (line.state !== this.#line || line.state === "waiting") {
      this.#line = line.state;
      this.#options.onLine?.(line);
    }
  }
}

function forLog({ code, message }: VerigateError): string {
  return `${code}: ${message}`;
}
