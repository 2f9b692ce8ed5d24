/** What a watch yields, and what calls answer; clients/scenarios.md names the scenarios. */
import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { StatusUpdateKind, VerificationResult, VerificationState, type StatusUpdate } from "../../src/index.js";
import { requested } from "../support/faultproxy.js";
import { heartbeatMs } from "../support/process.js";
import { scenario } from "../support/scene.js";

scenario("the first message is the current state", async ({ scene }) => {
  const id = await scene.start();
  const early = scene.watch(id);
  await early.until(({ updates }) => updates.length === 1);
  expect(early.updates[0]).toMatchObject({
    kind: StatusUpdateKind.SNAPSHOT,
    verificationId: id,
    state: VerificationState.PENDING,
    result: VerificationResult.PENDING,
    version: 2n,
    terminal: false,
  });

  await scene.complete(id, "review");
  await early.until(({ updates }) => updates.at(-1)?.state === VerificationState.IN_REVIEW);
  const late = scene.watch(id);
  await late.until(({ updates }) => updates.length === 1);
  expect(late.updates[0]).toMatchObject({
    kind: StatusUpdateKind.SNAPSHOT,
    state: VerificationState.IN_REVIEW,
    version: early.versions.at(-1),
  });

  // Nothing is newer than what this one knows, until the decision.
  const knowing = scene.watch(id, { afterVersion: late.versions[0] });
  await knowing.until(({ lines }) => lines.at(-1)?.state === "live");
  await scene.decide(id, "approved");
  await knowing.ended;
  expect(knowing.updates.map(({ state }) => state)).toEqual([VerificationState.APPROVED]);
});

scenario("each version is yielded once and in order", async ({ scene }) => {
  // Every stream is cut behind a snapshot and one message more, so that
  // snapshots repeat what was yielded before.
  await scene.faults({ procedure: "WatchStatus", fault: "cut", after: 2 });
  const id = await scene.start();
  const watching = scene.watch(id);
  await scene.streams({ begun: 3 });
  await scene.complete(id, "review");
  await watching.until(({ updates }) => updates.at(-1)?.state === VerificationState.IN_REVIEW);
  await scene.streams({ begun: 5 });
  await scene.decide(id, "approved");
  await watching.ended;

  watching.expectOrdered();
  expect(watching.versions[0]).toBe(2n);
  expect(watching.updates.at(-1)).toMatchObject({ state: VerificationState.APPROVED, terminal: true });
  const kinds = new Set(watching.updates.map(({ kind }) => kind));
  expect(kinds.has(StatusUpdateKind.HEARTBEAT)).toBe(false);
  expect(kinds.has(StatusUpdateKind.DRAIN)).toBe(false);
});

scenario("a watch ends after a terminal message", async ({ scene }) => {
  const id = await scene.start();
  const watching = scene.watch(id);
  await watching.until(({ updates }) => updates.length === 1);
  await scene.complete(id, "fail");
  await watching.ended;

  expect(watching.updates.at(-1)).toMatchObject({
    state: VerificationState.DECLINED,
    result: VerificationResult.FAIL,
    terminal: true,
  });
  expect(watching.updates.filter(({ terminal }) => terminal)).toHaveLength(1);
  expect(watching.lines.map(({ state }) => state)).toEqual(["connecting", "live", "ended"]);
  expect(await scene.streams({ open: 0 })).toMatchObject({ begun: 1 });

  // It is terminal already, even for somebody who knows: one message, and the end.
  const again = scene.watch(id, { afterVersion: watching.versions.at(-1) });
  await again.ended;
  expect(again.updates).toHaveLength(1);
  expect(again.updates[0]?.terminal).toBe(true);
});

scenario("a slow consumer loses nothing and is not taken for a dead line", async ({ scene }) => {
  const id = await scene.start();
  const seen: StatusUpdate[] = [];
  for await (const update of scene.client().watch(id)) {
    seen.push(update);
    if (seen.length === 1) {
      // Busy for longer than the watchdog would wait, in which the person is done.
      await scene.complete(id, "review");
      await scene.streams({ messages: 8 });
    }
    if (update.state === VerificationState.IN_REVIEW) {
      await scene.decide(id, "approved");
    }
  }
  const [stream, ...others] = (await scene.streams({ open: 0 })).calls;
  expect(others).toEqual([]);
  expect((stream?.ended_ms ?? 0) - (stream?.began_ms ?? 0)).toBeGreaterThan(3 * heartbeatMs);
  expect(seen.map(({ state }) => state)).toEqual([
    VerificationState.PENDING,
    VerificationState.PROCESSING,
    VerificationState.IN_REVIEW,
    VerificationState.APPROVED,
  ]);
  expect(seen.map(({ version }) => version)).toEqual([2n, 3n, 4n, 5n]);
});

scenario("followed revisions are yielded and the watch goes on", async ({ scene }) => {
  const id = await scene.start();
  const watching = scene.watch(id, { followRevisions: true });
  await watching.until(({ updates }) => updates.length === 1);
  await scene.complete(id, "pass");
  await watching.until(({ updates }) => updates.at(-1)?.state === VerificationState.APPROVED);

  // A cut in between: what was terminal is not yielded again.
  await scene.proxy.now("WatchStatus", "cut");
  const { calls } = await scene.streams({ begun: 2, messages: 1 });
  expect(requested(calls[1]!)).toMatchObject({ followRevisions: true, afterVersion: watching.versions.at(-1) });
  await scene.decide(id, "declined");
  await watching.until(({ updates }) => updates.at(-1)?.state === VerificationState.DECLINED);

  watching.expectOrdered();
  expect(watching.updates.filter(({ terminal }) => terminal).map(({ state }) => state)).toEqual([
    VerificationState.APPROVED,
    VerificationState.DECLINED,
  ]);
  expect(await scene.streams({ open: 1, messages: 2 })).toMatchObject({ begun: 2 });
});

scenario("several watches at once do not hold up other calls", async ({ scene }) => {
  const client = scene.client();
  const ids = await Promise.all(Array.from({ length: 12 }, () => scene.start()));
  const watchings = ids.map((id) => scene.watch(id, {}, client));
  await Promise.all(watchings.map((watching) => watching.until(({ updates }) => updates.length === 1)));
  await scene.streams({ open: ids.length });

  for (const id of ids) {
    expect((await client.get(id)).id).toBe(id);
  }
  const { verification } = await client.start({ flow: "kyc", subject: "one more" });
  expect(verification.state).toBe(VerificationState.PENDING);
  expect(await scene.streams({ open: ids.length })).toMatchObject({ begun: ids.length });
});

scenario("a call that the gateway refuses says why", async ({ scene }) => {
  const client = scene.client();
  await expect(client.start({ flow: "kyc" })).rejects.toMatchObject({
    name: "VerigateError",
    code: "invalid_argument",
    message: expect.stringContaining("subject"),
  });
  await expect(client.start({ flow: "no-such-flow", subject: "somebody" })).rejects.toMatchObject({
    code: "not_found",
    message: expect.stringContaining("flow"),
  });
  await expect(client.get(randomUUID())).rejects.toMatchObject({ code: "not_found" });
  await expect(client.get({ reference: "nobody's order" })).rejects.toMatchObject({ code: "not_found" });
  const stranger = scene.client({ token: "vg_test_nobody" });
  await expect(stranger.start({ flow: "kyc", subject: "somebody" })).rejects.toMatchObject({ code: "unauthenticated" });

  await scene.faults({ procedure: "GetVerification", fault: "status", status: 503, body: "<html>an outage</html>" });
  await expect(client.get(randomUUID())).rejects.toMatchObject({ code: "unavailable", message: "HTTP 503" });
  await scene.faults({ procedure: "GetVerification", fault: "refuse" });
  await expect(client.get(randomUUID())).rejects.toMatchObject({ code: "unavailable" });
});
