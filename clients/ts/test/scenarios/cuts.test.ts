/** What a watch survives; clients/scenarios.md names the scenarios. */
import { expect } from "vitest";
import { VerificationResult } from "../../src/index.js";
import { requested } from "../support/faultproxy.js";
import { GatewayProcess, heartbeatMs } from "../support/process.js";
import { fullJitter, scenario, Scene } from "../support/scene.js";

scenario("a cut connection is resumed from the last version", ({ scene }) => resumes(scene, "cut"));

scenario("a truncated stream that looks complete is resumed", ({ scene }) => resumes(scene, "truncate"));

scenario("a stream that ends well without a terminal message is resumed", ({ scene }) => resumes(scene, "end"));

scenario("a stalled stream is noticed after three heartbeats", ({ scene }) => notices(scene, "stall"));

scenario("a half-open connection is noticed after three heartbeats", ({ scene }) => notices(scene, "half_open"));

scenario("a drain is obeyed", async () => {
  const gateway = await GatewayProcess.start("--ephemeral", "--max-stream-age", "1s");
  const scene = await Scene.open(gateway);
  try {
    const id = await scene.start();
    const watching = scene.watch(id);
    await scene.streams({ begun: 4, messages: 1 });
    await scene.complete(id, "pass");
    await watching.ended;

    const waits = watching.lines.filter(({ state }) => state === "waiting");
    expect(waits.length).toBeGreaterThanOrEqual(3);
    expect(new Set(waits.map(({ reason }) => reason))).toEqual(new Set(["the gateway asked to come back"]));
    // The gateway asks for up to a second, each time anew.
    expect(waits.some(({ retryInMs = 0 }) => retryInMs > 0)).toBe(true);
    watching.expectPausesKept();
    watching.expectOrdered();
    expect(watching.updates.at(-1)?.result).toBe(VerificationResult.PASS);
    const { calls } = await scene.streams({ open: 0 });
    expect(calls.slice(0, 4).map((call) => requested(call).afterVersion)).toEqual([0n, 2n, 2n, 2n]);
  } finally {
    await scene.close();
    await gateway.stop();
  }
});

scenario("pauses grow with each failure and are reset by a message, not by a connection", async ({ scene }) => {
  await scene.faults(
    // The answer begins, and that is all: a connection, but no message.
    { procedure: "WatchStatus", fault: "truncate", times: 2 },
    { procedure: "WatchStatus", fault: "cut", after: 1, times: 1 },
  );
  const id = await scene.start();
  const watching = scene.watch(id, {}, scene.client({ seams: fullJitter }));
  // The repeated state is no news; the heartbeat after it shows that all is well.
  await scene.streams({ begun: 4, messages: 2 });
  expect(watching.pauses).toEqual([250, 500, 250]);
  watching.expectPausesKept();

  // A dead server: neither streams nor polls.
  await scene.faults({ procedure: "", fault: "refuse" });
  await scene.proxy.now("WatchStatus", "cut");
  await watching.until(({ pauses }) => pauses.length >= 7);
  expect(watching.pauses.slice(3, 7)).toEqual([250, 500, 1000, 2000]);
});

scenario("streams that only repeat the state and fail are asked for ever less often", async ({ scene }) => {
  const id = await scene.start();
  const watching = scene.watch(id, {}, scene.client({ seams: fullJitter }));
  await scene.streams({ begun: 1, messages: 2 });
  await scene.faults({ procedure: "WatchStatus", fault: "cut", after: 1 });
  await scene.proxy.now("WatchStatus", "cut");
  await watching.until(({ pauses }) => pauses.length >= 4);
  expect(watching.pauses.slice(0, 4)).toEqual([250, 500, 1000, 2000]);
});

scenario("a server that asks to wait is given the time", async ({ scene }) => {
  await scene.faults(
    { procedure: "WatchStatus", fault: "error", code: "resource_exhausted", message: "too many", retry_after: "1", times: 1 },
    { procedure: "WatchStatus", fault: "status", status: 503, body: "<html>busy</html>", retry_after: "2", times: 1 },
  );
  const id = await scene.start();
  const watching = scene.watch(id);
  const { calls } = await scene.streams({ begun: 3, messages: 1 });
  expect(watching.lines.map(({ state, retryInMs, reason }) => [state, retryInMs, reason]).slice(0, 5)).toEqual([
    ["connecting", undefined, undefined],
    ["waiting", 1000, "resource_exhausted: too many"],
    ["connecting", undefined, undefined],
    ["waiting", 2000, "unavailable: HTTP 503"],
    ["connecting", undefined, undefined],
  ]);
  watching.expectPausesKept();
  expect(calls[2]!.began_ms - calls[0]!.began_ms).toBeGreaterThanOrEqual(2990);
});

scenario("a server restart in the middle is survived", async () => {
  const gateway = await GatewayProcess.start();
  const scene = await Scene.open(gateway);
  try {
    const id = await scene.start();
    const watching = scene.watch(id);
    await watching.until(({ updates }) => updates.length === 1);
    await gateway.restart();
    await scene.approve(id);
    await watching.ended;
    watching.expectOrdered();
    expect(watching.versions[0]).toBe(2n);
    expect(watching.updates.at(-1)).toMatchObject({ result: VerificationResult.PASS, terminal: true });
    expect((await scene.streams()).begun).toBeGreaterThan(1);
  } finally {
    await scene.close();
    await gateway.stop();
  }
});

// Breaks an open stream and looks how it is taken up again.
async function resumes(scene: Scene, fault: string): Promise<void> {
  const id = await scene.start();
  const watching = scene.watch(id);
  await scene.streams({ begun: 1, messages: 1 });
  expect(await scene.proxy.now("WatchStatus", fault)).toBe(1);
  const { calls } = await scene.streams({ begun: 2, messages: 1, open: 1 });
  expect(calls.map((call) => requested(call).afterVersion)).toEqual([0n, 2n]);
  await watching.until(({ lines }) => lines.filter(({ state }) => state === "live").length === 2);

  await scene.complete(id, "pass");
  await watching.ended;
  watching.expectOrdered();
  expect(watching.updates.at(-1)).toMatchObject({ result: VerificationResult.PASS, terminal: true });
  expect(watching.lines.map(({ state }) => state)).toEqual(["connecting", "live", "waiting", "connecting", "live", "ended"]);
  expect(await scene.streams()).toMatchObject({ begun: 2 });
}

// Nothing comes behind the first message, and no end either.
async function notices(scene: Scene, fault: string): Promise<void> {
  await scene.faults({ procedure: "WatchStatus", fault, after: 1, times: 1 });
  const id = await scene.start();
  const watching = scene.watch(id);
  const { calls } = await scene.streams({ begun: 2, messages: 1, open: 1 });
  expect(calls[1]!.began_ms - calls[0]!.began_ms).toBeGreaterThanOrEqual(3 * heartbeatMs - 2);
  expect(requested(calls[1]!).afterVersion).toBe(2n);

  await scene.complete(id, "pass");
  await watching.ended;
  watching.expectOrdered();
  expect(watching.updates.at(-1)?.result).toBe(VerificationResult.PASS);
  expect(watching.lines.find(({ state }) => state === "waiting")?.reason).toBe("unavailable: nothing was heard for too long");
}
