/** A watch that is consumed in the background, and what a test waits for in it. */
import { expect } from "vitest";
import type { Line, StatusUpdate, Verigate, WatchOptions } from "../../src/index.js";

/** What was told of the line, and when, in milliseconds. */
export type TimedLine = Line & { readonly atMs: number };

/** Watching pulls a watch as fast as it can. */
export class Watching {
  readonly updates: StatusUpdate[] = [];
  readonly lines: TimedLine[] = [];
  /** Settles like the loop over the watch. */
  readonly ended: Promise<void>;
  #closed = false;
  readonly #stop = new AbortController();
  readonly #waiting = new Set<() => void>();

  constructor(verigate: Verigate, id: string, options: Omit<WatchOptions, "signal" | "onLine"> = {}) {
    const watch = verigate.watch(id, {
      ...options,
      signal: this.#stop.signal,
      onLine: (line) => {
        this.lines.push({ ...line, atMs: performance.now() });
        this.#look();
      },
    });
    this.ended = this.#pull(watch);
    // A test that does not await it must not fail by an unhandled rejection.
    this.ended.catch(() => undefined);
  }

  get versions(): bigint[] {
    return this.updates.map((update) => update.version);
  }

  /** Of each wait for the next try: how long it was told to be. */
  get pauses(): (number | undefined)[] {
    return this.lines.filter((line) => line.state === "waiting").map((line) => line.retryInMs);
  }

  /** Waits until something holds of the updates and lines; fails when the watch ends before. */
  until(holds: (watching: Watching) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (holds(this)) {
          this.#waiting.delete(look);
          resolve();
        } else if (this.#closed) {
          reject(new Error(`the watch ended before; it saw versions ${this.versions}`));
        }
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Every wait lasted at least as long as it was told to. */
  expectPausesKept(): void {
    for (const [index, line] of this.lines.entries()) {
      const next = this.lines[index + 1];
      if (line.state === "waiting" && next !== undefined) {
        // Timers may be a little early: their clock has whole milliseconds.
        expect(next.atMs - line.atMs).toBeGreaterThanOrEqual((line.retryInMs ?? 0) - 2);
      }
    }
  }

  /** Each version came once, and in order. */
  expectOrdered(): void {
    expect(this.versions).toEqual([...new Set(this.versions)].sort((a, b) => Number(a - b)));
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error("the test is over"));
    await this.ended.catch(() => undefined);
  }

  async #pull(watch: AsyncIterable<StatusUpdate>): Promise<void> {
    try {
      for await (const update of watch) {
        this.updates.push(update);
        this.#look();
      }
    } finally {
      this.#closed = true;
      this.#look();
    }
  }

  #look(): void {
    for (const look of [...this.#waiting]) {
      look();
    }
  }
}
