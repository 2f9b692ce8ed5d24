/**
 * The page of the browser tests: it runs the client as an app would and notes
 * what came of it, for the test to read.
 *
 *     test ─► stage.watch(…) ─► client ─► proxy ─► gateway
 *     test ◄─ stage.watches[n] ◄─ updates, line
 */
import { createVerigate, type Line, VerigateError } from "../../../src/index.js";
import { takeLane } from "../../../src/lanes.js";

/** What the client needs to know, and what to watch. */
export interface Order {
  baseUrl: string;
  token: string;
  heartbeatMs: number;
  id: string;
}

/** What one watch has shown so far. */
export interface Seen {
  versions: number[];
  /** The numbers of VerificationResult. */
  results: number[];
  lines: Line[];
  /** How the loop ended; absent while it runs. */
  ended?: string;
}

/** How a loop is to be left. */
export type Leaving = "break" | "abort";

export interface Stage {
  watches: Seen[];
  /** Begins a watch and tells its number; break leaves it after the first update. */
  watch(order: Order, leaving?: Leaving): number;
  /** Aborts a watch. */
  abort(watch: number): void;
  /** Asks for a verification once and tells its version. */
  get(order: Order): Promise<number>;
  /** Takes a lane and keeps it; tells whether there was one. */
  takeLane(baseUrl: string): Promise<boolean>;
}

declare global {
  interface Window {
    stage: Stage;
  }
}

const stops: AbortController[] = [];

window.stage = {
  watches: [],
  watch(order, leaving) {
    const seen: Seen = { versions: [], results: [], lines: [] };
    const stop = new AbortController();
    stops.push(stop);
    const number = this.watches.push(seen) - 1;
    run(order, seen, stop.signal, leaving).then(
      (how) => (seen.ended = how),
      (error: unknown) => (seen.ended = error instanceof VerigateError ? error.code : String(error)),
    );
    return number;
  },
  abort: (watch) => stops[watch]?.abort(),
  async get(order) {
    const answer = await createVerigate(order).get(order.id);
    return Number(answer.version);
  },
  takeLane: async (baseUrl) => (await takeLane(baseUrl)) !== undefined,
};

async function run(order: Order, seen: Seen, signal: AbortSignal, leaving?: Leaving): Promise<string> {
  const onLine = (line: Line): void => {
    seen.lines.push(line);
  };
  for await (const update of createVerigate(order).watch(order.id, { signal, onLine })) {
    seen.versions.push(Number(update.version));
    seen.results.push(update.result);
    if (leaving === "break") {
      return "broke off";
    }
  }
  return "ended";
}
