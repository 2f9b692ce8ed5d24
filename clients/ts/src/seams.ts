/** What tests replace: chance and time. */

/** Seams are the outside world of a watch. */
export interface Seams {
  /** From 0 up to, but not including, 1. */
  random(): number;
  /** Milliseconds that only grow. */
  now(): number;
  /** Calls run once after ms milliseconds, unless the returned function was called before. */
  after(ms: number, run: () => void): () => void;
}

/** The real world. */
export const realSeams: Seams = {
  random: () => Math.random(),
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
