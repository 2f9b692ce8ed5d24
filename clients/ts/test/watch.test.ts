/** The corners of a watch that no scenario names, against the real gateway. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, vi } from "vitest";
import { StatusUpdateKind, VerificationState, type Line, type StatusUpdate } from "../src/index.js";
import { scenario as test, type Scene } from "./support/scene.js";

// A process gets at the collector by a flag, which may be set late.
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

// Node tells of a rejection that nobody handled; so does every test here.
const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);
beforeEach(() => process.on("unhandledRejection", note));
afterEach(async () => {
  await new Promise(setImmediate);
  process.off("unhandledRejection", note);
  vi.unstubAllGlobals();
  expect(unhandled).toEqual([]);
});

describe("leaving", () => {
  test("a signal that is aborted already sends nothing", async ({ scene }) => {
    const id = await scene.start();
    const watch = scene.client().watch(id, { signal: AbortSignal.abort("before") });
    await expect(watch[Symbol.asyncIterator]().next()).rejects.toBe("before");
    expect(await scene.streams()).toMatchObject({ begun: 0 });
  });

  test("an abort before the first message ends the wait for it", async ({ scene }) => {
    await scene.faults({ procedure: "WatchStatus", fault: "stall" });
    const id = await scene.start();
    const stop = new AbortController();
    const next = scene.client().watch(id, { signal: stop.signal })[Symbol.asyncIterator]().next();
    next.catch(() => undefined);
    await scene.streams({ begun: 1, open: 1 });
    stop.abort(new Error("meanwhile"));
    await expect(next).rejects.toThrow("meanwhile");
    await scene.streams({ open: 0 });
  });

  test("an abort during a pause ends it", async ({ scene }) => {
    await scene.faults({ procedure: "WatchStatus", fault: "status", status: 503, body: "", retry_after: "600" });
    const id = await scene.start();
    const stop = new AbortController();
    const onLine = ({ state }: Line) => void (state === "waiting" && queueMicrotask(() => stop.abort("enough")));
    const next = scene.client().watch(id, { signal: stop.signal, onLine })[Symbol.asyncIterator]().next();
    await expect(next).rejects.toBe("enough");
  });

  test("a return before the first next sends nothing", async ({ scene }) => {
    const messages = scene.client().watch(await scene.start())[Symbol.asyncIterator]();
    expect(await messages.return?.()).toEqual({ done: true, value: undefined });
    expect(await messages.next()).toEqual({ done: true, value: undefined });
    expect(await scene.streams()).toMatchObject({ begun: 0 });
  });

  // Node's fetch forgets its signal then; every watch that lasts lives to see it.
  test("the call is closed after a garbage collection, too", async ({ scene }) => {
    const id = await scene.start();
    const client = scene.client();
    const stop = new AbortController();
    const messages = client.watch(id, { signal: stop.signal })[Symbol.asyncIterator]();
    await messages.next();
    const next = messages.next();
    next.catch(() => undefined);
    await scene.streams({ begun: 1, open: 1, messages: 2 });
    collectGarbage();
    client.resume();
    await scene.streams({ begun: 2, open: 1, messages: 2 });
    collectGarbage();
    stop.abort("enough");
    await expect(next).rejects.toBe("enough");
    await scene.streams({ open: 0 });
  });

  test("what onLine throws ends the watch and its call", async ({ scene }) => {
    const onLine = ({ state }: Line) => {
      if (state === "live") {
        throw new Error("of the interface");
      }
    };
    const next = scene.client().watch(await scene.start(), { onLine })[Symbol.asyncIterator]().next();
    await expect(next).rejects.toThrow("of the interface");
    await scene.streams({ begun: 1, open: 0 });
  });
});

test("each iteration of one watch is a watch of its own", async ({ scene }) => {
  const id = await scene.start();
  const watch = scene.client().watch(id);
  const [first, second] = [watch[Symbol.asyncIterator](), watch[Symbol.asyncIterator]()];
  expect((await first.next()).value?.version).toBe(2n);
  await first.return?.();
  expect((await second.next()).value?.version).toBe(2n);
  await scene.streams({ begun: 2, open: 1 });
  await second.return?.();
  await scene.streams({ open: 0 });
});

test("a resume while the last try has just failed is not lost", async ({ scene }) => {
  await scene.faults({ procedure: "WatchStatus", fault: "status", status: 503, body: "", retry_after: "600", times: 1 });
  const client = scene.client();
  const onLine = ({ state }: Line) => void (state === "waiting" && client.resume());
  const messages = client.watch(await scene.start(), { onLine })[Symbol.asyncIterator]();
  expect((await messages.next()).value?.version).toBe(2n);
  await messages.return?.();
});

test("behind a proxy that holds streams back it polls", async ({ scene }) => {
  await scene.faults({ procedure: "WatchStatus", fault: "buffer" });
  const id = await scene.start();
  const watching = scene.watch(id, {}, scene.client({ heartbeatMs: 200 }));
  await watching.until(({ updates }) => updates.length === 1);
  expect(await scene.streams({ open: 0 })).toMatchObject({ begun: 3 });
  await scene.complete(id, "pass");
  await watching.ended;
  expect(watching.updates.at(-1)?.terminal).toBe(true);
});

describe("where fetch cannot stream", () => {
  test("React Native's own fetch polls and never tries a stream", async ({ scene }) => {
    vi.stubGlobal("navigator", { product: "ReactNative" });
    await throughPolls(scene);
  });

  test("a fetch whose answers have no bodies polls and never tries a stream", async ({ scene }) => {
    vi.stubGlobal("Response", class {});
    await throughPolls(scene);
  });

  test("a fetch of the app's own is trusted, until its answer has no body", async ({ scene }) => {
    vi.stubGlobal("navigator", { product: "ReactNative" });
    const id = await scene.start();
    const trusted = scene.watch(id, {}, scene.client({ fetch: (...request) => globalThis.fetch(...request) }));
    await trusted.until(({ lines }) => lines.at(-1)?.state === "live");
    await trusted.stop();

    const bodiless = scene.client({
      fetch: async (...request) => {
        const answer = await globalThis.fetch(...request);
        return answer.headers.get("content-type") === "application/connect+json"
          ? new Response(null, { status: 200, headers: answer.headers })
          : answer;
      },
    });
    const polling = scene.watch(id, {}, bodiless);
    await scene.polls({ begun: 2, open: 1 });
    expect(await scene.streams({ open: 0 })).toMatchObject({ begun: 2 });
    expect(polling.updates).toHaveLength(1);
    expect(polling.pauses).toEqual([]);
  });

  async function throughPolls(scene: Scene): Promise<void> {
    const id = await scene.start();
    const watching = scene.watch(id);
    await scene.polls({ begun: 2, open: 1 });
    expect(watching.updates.map(({ kind, version }) => [kind, version])).toEqual([[StatusUpdateKind.SNAPSHOT, 2n]]);
    await scene.complete(id, "review");
    await watching.until(({ updates }) => updates.at(-1)?.state === VerificationState.IN_REVIEW);
    await scene.decide(id, "approved");
    await watching.ended;
    watching.expectOrdered();
    const last: StatusUpdate | undefined = watching.updates.at(-1);
    expect(last).toMatchObject({ state: VerificationState.APPROVED, verificationId: id, terminal: true });
    expect(watching.lines.map(({ state }) => state)).toEqual(["connecting", "polling", "ended"]);
    expect(await scene.streams()).toMatchObject({ begun: 0 });
  }
});
