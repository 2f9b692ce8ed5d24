/** The page's events, on a page that is not one. What Chromium makes of them is in test/browser. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { listenToPage } from "../src/page.js";
import { scenario } from "./support/scene.js";

// FakePage stands for document and window, and counts who listens.
class FakePage extends EventTarget {
  visibilityState = "visible";
  listeners = 0;

  override addEventListener(...listener: Parameters<EventTarget["addEventListener"]>): void {
    this.listeners++;
    super.addEventListener(...listener);
  }

  override removeEventListener(...listener: Parameters<EventTarget["removeEventListener"]>): void {
    this.listeners--;
    super.removeEventListener(...listener);
  }

  turn(visibilityState: "visible" | "hidden"): void {
    this.visibilityState = visibilityState;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

let document: FakePage;
let window: FakePage;

beforeEach(() => {
  document = new FakePage();
  window = new FakePage();
  vi.stubGlobal("document", document);
  vi.stubGlobal("addEventListener", window.addEventListener.bind(window));
  vi.stubGlobal("removeEventListener", window.removeEventListener.bind(window));
});

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("the page tells", () => {
  let told: string[];
  let leave: () => void;
  let nowMs: number;

  function listen(): void {
    told = [];
    leave = listenToPage({ pause: () => told.push("pause"), resume: () => told.push("resume") });
  }

  beforeEach(() => {
    nowMs = 0;
    vi.spyOn(performance, "now").mockImplementation(() => nowMs);
  });

  afterEach(() => {
    leave();
    vi.restoreAllMocks();
  });

  test("hidden and shown", () => {
    listen();
    document.turn("hidden");
    document.turn("visible");
    document.turn("hidden");
    document.turn("visible");
    expect(told).toEqual(["pause", "resume", "pause", "resume"]);
  });

  test("hidden from the beginning", () => {
    document.visibilityState = "hidden";
    listen();
    expect(told).toEqual(["pause"]);
    leave();
    expect(told).toEqual(["pause", "resume"]);
  });

  test("online again, and unfrozen", () => {
    listen();
    window.dispatchEvent(new Event("online"));
    nowMs = 5000;
    document.dispatchEvent(new Event("resume"));
    expect(told).toEqual(["resume", "resume"]);
  });

  test("online while hidden, which wakes no watchdog", () => {
    listen();
    document.turn("hidden");
    window.dispatchEvent(new Event("online"));
    expect(told).toEqual(["pause", "resume", "pause"]);
  });

  test("shown again from the back/forward cache, not the first time", () => {
    listen();
    window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: false }));
    expect(told).toEqual([]);
    window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    expect(told).toEqual(["resume"]);
  });

  test("one return once, however many events it has", () => {
    listen();
    document.turn("hidden");
    document.dispatchEvent(new Event("resume"));
    document.turn("visible");
    window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    window.dispatchEvent(new Event("online"));
    expect(told).toEqual(["pause", "resume", "pause", "resume"]);
  });

  test("nothing where there is no page", () => {
    vi.stubGlobal("document", undefined);
    listen();
    vi.stubGlobal("document", document);
    document.turn("hidden");
    expect(told).toEqual([]);
    expect(document.listeners + window.listeners).toBe(0);
  });
});

scenario("the page is listened to while a watch is open, and not longer", async ({ scene }) => {
  const client = scene.client();
  expect(document.listeners + window.listeners).toBe(0);
  const id = await scene.start();
  const [one, two] = [scene.watch(id, {}, client), scene.watch(id, {}, client)];
  await Promise.all([one, two].map((watching) => watching.until(({ updates }) => updates.length === 1)));
  expect([document.listeners, window.listeners]).toEqual([2, 2]);

  // What the page tells reaches the streams.
  document.turn("hidden");
  document.turn("visible");
  await scene.streams({ begun: 4, open: 2, messages: 1 });

  await one.stop();
  expect([document.listeners, window.listeners]).toEqual([2, 2]);
  await two.stop();
  expect([document.listeners, window.listeners]).toEqual([0, 0]);
});
