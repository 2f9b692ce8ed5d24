/**
 * One try to reach the gateway: a stream or a poll. It ends once, for one
 * reason, and then its HTTP call is aborted.
 */
import type { Seams } from "./seams.js";

/** Why an attempt ended before the gateway ended it. */
export type Why = "stopped" | "dropped" | "silent" | "closed";

/** Attempt owns the abort signal of one call, and the watchdog over it. */
export class Attempt {
  /** Why it ended; undefined while it lasts. */
  why: Why | undefined;
  readonly #controller = new AbortController();
  readonly #seams: Seams;
  #giveUp: () => void = () => undefined;
  #callOff: () => void = () => undefined;
  #release: () => void = () => undefined;

  constructor(seams: Seams) {
    this.#seams = seams;
  }

  /** Give this to the call. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends it; only the first reason counts. */
  end(why: Why): void {
    if (this.why !== undefined) {
      return;
    }
    this.why = why;
    this.disarm();
    this.#controller.abort();
    this.#release();
    this.#giveUp();
  }

  /** Releases the lane when it ends, or now if it has ended. */
  hold(lane: { release(): void }): void {
    if (this.why === undefined) {
      this.#release = () => lane.release();
    } else {
      lane.release();
    }
  }

  /** Ends it as silent after ms milliseconds without disarm. */
  arm(ms: number): void {
    this.disarm();
    this.#callOff = this.#seams.after(ms, () => this.end("silent"));
  }

  /** Stops the watchdog. */
  disarm(): void {
    this.#callOff();
    this.#callOff = () => undefined;
  }

  /**
   * Settles like work, or rejects as soon as the attempt ends: some runtimes
   * leave a read pending after an abort.
   */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#giveUp = () => reject(new Error("the attempt ended"));
      work.then(resolve, reject);
      if (this.why !== undefined) {
        this.#giveUp();
      }
    });
  }
}
