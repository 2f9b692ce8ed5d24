/**
 * When to try again, and with what: counts what went wrong in a row. Messages
 * clear the counts, a mere connection never does.
 */
import type { Seams } from "./seams.js";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
/** So many streams in a row without a message, and the watch polls. */
const BARREN_STREAMS = 3;
/** A stream is tried again after polling for so long, twice as long each time that it fails. */
const FIRST_POLLING_MS = 5000;
const LONGEST_POLLING_MS = 300_000;

/** Rest is the time between two attempts, in milliseconds, and why there is one. */
export class Rest {
  constructor(
    readonly ms: number,
    /** For a log. */
    readonly reason: string,
    /** A turn is neither a failure nor a drain: the watch goes on another way. */
    readonly why: "failed" | "drained" | "turn",
  ) {}
}

/** No rest at all. */
export const AT_ONCE = /*@__PURE__*/ new Rest(0, "", "turn");

/** Retry is the memory of one watch. */
export class Retry {
  readonly #seams: Seams;
  #canStream: boolean;
  #failures = 0;
  #barren = 0;
  #streamAgainAt = 0;
  #quickDrains = 0;

  constructor(seams: Seams, canStream: boolean) {
    this.#seams = seams;
    this.#canStream = canStream;
  }

  /** Whether the next attempt is a stream. Otherwise it is a poll. */
  get streams(): boolean {
    return this.#canStream && (this.#barren < BARREN_STREAMS || this.#seams.now() >= this.#streamAgainAt);
  }

  /** A message came, over a stream or by a poll, and whether all is well with it. */
  heard(byStream: boolean, well: boolean): void {
    if (well) {
      this.#failures = 0;
    }
    if (byStream) {
      this.#barren = 0;
    }
  }

  /** A stream ended without a single message. */
  barrenStream(): void {
    const before = Math.max(0, ++this.#barren - BARREN_STREAMS);
    this.#streamAgainAt = this.#seams.now() + Math.min(LONGEST_POLLING_MS, FIRST_POLLING_MS * 2 ** before);
  }

  /** A poll failed too: the line is at fault and not streams, so the next attempt is one. */
  failedPoll(): void {
    this.#barren = Math.min(this.#barren, BARREN_STREAMS);
    this.#streamAgainAt = this.#seams.now();
  }

  /** The runtime turned out unable to stream. */
  cannotStream(): void {
    this.#canStream = false;
  }

  /** The pause after a failure in milliseconds: full jitter on top of what the gateway asked for. */
  afterFailure(leastMs: number): number {
    return leastMs + this.#jitter(this.#failures++);
  }

  /**
   * The pause after a drain in milliseconds. The first costs nothing more than
   * it asks for; quick ones in a row mean a node that goes on draining.
   */
  afterDrain(askedMs: number, quick: boolean): number {
    if (!quick) {
      this.#quickDrains = 0;
      return askedMs;
    }
    const before = this.#quickDrains++;
    return before === 0 ? askedMs : askedMs + this.#jitter(before);
  }

  /** About ms milliseconds, so that many watches do not ask at the same moment. */
  about(ms: number): number {
    return ms * (0.8 + 0.4 * this.#seams.random());
  }

  #jitter(failures: number): number {
    return this.#seams.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures);
  }
}
