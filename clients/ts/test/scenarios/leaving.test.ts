/** How a watch is left, and how it sleeps; clients/scenarios.md names the scenarios. */
import { expect } from "vitest";
import { requested } from "../support/faultproxy.js";
import { heartbeatMs } from "../support/process.js";
import { fullJitter, scenario, Scene } from "../support/scene.js";

scenario("stopping the consumer cancels the call", async ({ scene }) => {
  const id = await scene.start();
  const client = scene.client();
  for await (const update of client.watch(id)) {
    expect(update.version).toBe(2n);
    break;
  }
  expect(await scene.streams({ open: 0 })).toMatchObject({ begun: 1 });

  const angry = async () => {
    for await (const _update of client.watch(id)) {
      throw new Error("of the consumer");
    }
  };
  await expect(angry()).rejects.toThrow("of the consumer");
  expect(await scene.streams({ open: 0 })).toMatchObject({ begun: 2 });

  // Returned while it waits for the next message.
  const messages = client.watch(id)[Symbol.asyncIterator]();
  await messages.next();
  const next = messages.next();
  await messages.return?.();
  expect(await next).toEqual({ done: true, value: undefined });
  expect(await scene.streams({ open: 0 })).toMatchObject({ begun: 3 });
});

scenario("cancelling from outside cancels the call", async ({ scene }) => {
  const id = await scene.start();
  const client = scene.client();
  const reason = new Error("the user went elsewhere");
  const stop = new AbortController();
  const states: string[] = [];
  const watching = (async () => {
    for await (const update of client.watch(id, { signal: stop.signal, onLine: ({ state }) => states.push(state) })) {
      expect(update.version).toBe(2n);
    }
  })();
  watching.catch(() => undefined);
  await scene.streams({ begun: 1, messages: 1 });
  stop.abort(reason);
  await expect(watching).rejects.toBe(reason);
  expect(await scene.streams({ open: 0 })).toMatchObject({ begun: 1 });
  expect(states.at(-1)).toBe("ended");

  // While its consumer is busy, too: the call ends at once, not with the next message.
  const busy = new AbortController();
  const messages = client.watch(id, { signal: busy.signal })[Symbol.asyncIterator]();
  await messages.next();
  busy.abort(reason);
  expect(await scene.streams({ begun: 2, open: 0 })).toMatchObject({ begun: 2 });
  await expect(messages.next()).rejects.toBe(reason);
  expect(await messages.next()).toEqual({ done: true, value: undefined });
});

scenario("in the background silence is no alarm", async ({ scene }) => {
  const front = await Scene.open(scene.gateway);
  try {
    const stall = { procedure: "WatchStatus", fault: "stall", after: 1, times: 1 };
    await Promise.all([scene.faults(stall), front.faults(stall)]);
    const id = await scene.start();
    const behind = scene.client();
    const sleeping = scene.watch(id, {}, behind);
    await sleeping.until(({ updates }) => updates.length === 1);
    // Its consumer waits for the next message, and the watchdog with it.
    await scene.streams({ open: 1, messages: 1 });
    behind.pause();
    const asleep = scene.watch(id, {}, behind);
    await asleep.until(({ updates }) => updates.length === 1);
    await scene.proxy.now("WatchStatus", "stall");

    // The same silence, begun later, alarms a client that is in front.
    front.watch(id);
    const { calls } = await front.streams({ begun: 2 });
    expect(calls[1]!.began_ms - calls[0]!.began_ms).toBeGreaterThanOrEqual(3 * heartbeatMs - 2);
    expect(await scene.streams({ open: 2 })).toMatchObject({ begun: 2 });
    expect([...sleeping.pauses, ...asleep.pauses]).toEqual([]);
  } finally {
    await front.close();
  }
});

scenario("back in the foreground the stream is opened anew at once", async ({ scene }) => {
  await scene.faults({ procedure: "WatchStatus", fault: "half_open", after: 1, times: 1 });
  const id = await scene.start();
  const client = scene.client({ seams: fullJitter });
  const watching = scene.watch(id, {}, client);
  await watching.until(({ updates }) => updates.length === 1);
  client.pause();
  client.resume();
  const { calls } = await scene.streams({ begun: 2, messages: 1, open: 1 });
  expect(requested(calls[1]!).afterVersion).toBe(2n);
  await watching.until(({ lines }) => lines.filter(({ state }) => state === "live").length === 2);
  expect(watching.lines.map(({ state }) => state)).toEqual(["connecting", "live", "connecting", "live"]);

  // And in front the watchdog works again.
  await scene.proxy.now("WatchStatus", "stall");
  await scene.streams({ begun: 3, messages: 1, open: 1 });

  // A watch that waits out a long pause does not wait for its end either.
  await scene.faults({ procedure: "WatchStatus", fault: "status", status: 503, body: "busy", retry_after: "86400", times: 1 });
  await scene.proxy.now("WatchStatus", "cut");
  await watching.until(({ lines }) => (lines.at(-1)?.retryInMs ?? 0) >= 300_000);
  client.resume();
  await scene.streams({ begun: 5, messages: 1, open: 1 });
});
