/** The arithmetic of pauses, and the look at the runtime, without a gateway. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { globalFetchStreams } from "../src/ability.js";
import { Retry } from "../src/retry.js";
import type { Seams } from "../src/seams.js";

const seams: Seams = { random: () => 1, now: () => 0, after: () => () => undefined };

describe("pauses", () => {
  test("double up to half a minute, and begin anew after a message", () => {
    const retry = new Retry(seams, true);
    const pauses = Array.from({ length: 2000 }, () => retry.afterFailure(0));
    expect(pauses.slice(0, 9)).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    expect(pauses.at(-1)).toBe(30_000);
    retry.heard(true, false);
    expect(retry.afterFailure(0)).toBe(30_000);
    retry.heard(true, true);
    expect(retry.afterFailure(0)).toBe(250);
  });

  test("are anything down to nothing, but for what was asked for", () => {
    const retry = new Retry({ ...seams, random: () => 0 }, true);
    expect([retry.afterFailure(0), retry.afterFailure(2000)]).toEqual([0, 2000]);
  });

  test("grow with quick drains in a row, and with no other", () => {
    const retry = new Retry(seams, true);
    const pauses = [true, true, true, false, true].map((quick) => retry.afterDrain(100, quick));
    expect(pauses).toEqual([100, 600, 1100, 100, 100]);
  });
});

describe("streams and polls", () => {
  let nowMs = 0;
  const begin = () => {
    nowMs = 0;
    const retry = new Retry({ ...seams, now: () => nowMs }, true);
    for (let streams = 0; streams < 3; streams++) {
      expect(retry.streams).toBe(true);
      retry.barrenStream();
    }
    return retry;
  };

  test("three barren streams bring polls, for longer each time that a stream fails again", () => {
    const retry = begin();
    for (const polledMs of [5000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
      retry.heard(false, true);
      nowMs += polledMs - 1;
      expect(retry.streams).toBe(false);
      nowMs += 1;
      expect(retry.streams).toBe(true);
      retry.barrenStream();
    }
    retry.heard(true, false);
    expect(retry.streams).toBe(true);
    retry.cannotStream();
    expect(retry.streams).toBe(false);
  });

  test("a poll that fails says that streams were not at fault", () => {
    const retry = begin();
    for (let outage = 0; outage < 20; outage++) {
      retry.failedPoll();
      expect(retry.streams).toBe(true);
      retry.barrenStream();
      expect(retry.streams).toBe(false);
    }
    nowMs = 10_000;
    expect(retry.streams).toBe(true);
  });
});

describe("the runtime's fetch", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  test("streams on Node", () => {
    expect(globalFetchStreams()).toBe(true);
  });

  test.each([
    ["navigator", { product: "ReactNative" }],
    ["ReadableStream", undefined],
    ["Response", undefined],
    ["Response", class {}],
  ])("does not where %s is %o", (name, value) => {
    vi.stubGlobal(name, value);
    expect(globalFetchStreams()).toBe(false);
  });

  test("streams in a browser", () => {
    vi.stubGlobal("navigator", { product: "Gecko" });
    expect(globalFetchStreams()).toBe(true);
  });
});
