/** How a watch takes what the gateway answers; clients/scenarios.md names the scenarios. */
import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { VerigateError, VerificationState } from "../../src/index.js";
import { requested } from "../support/faultproxy.js";
import { scenario, type Scene } from "../support/scene.js";

scenario("an error that retrying cannot heal ends the watch", async ({ scene }) => {
  const id = await scene.start();
  const final = ["unauthenticated", "permission_denied", "not_found", "invalid_argument", "out_of_range", "unimplemented"];
  for (const [index, code] of final.entries()) {
    await scene.faults({ procedure: "WatchStatus", fault: "error", code, message: `a reason of ${code}` });
    const watching = scene.watch(id);
    await expect(watching.ended).rejects.toBeInstanceOf(VerigateError);
    await expect(watching.ended).rejects.toMatchObject({ code, message: `a reason of ${code}` });
    expect(watching.lines.at(-1)).toMatchObject({ state: "ended", reason: `${code}: a reason of ${code}` });
    expect(await scene.streams({ open: 0 })).toMatchObject({ begun: index + 1 });
  }

  await scene.faults();
  await expect(scene.watch(randomUUID()).ended).rejects.toMatchObject({ code: "not_found" });
  await expect(scene.watch("no id").ended).rejects.toMatchObject({ code: "invalid_argument" });
  const stranger = scene.client({ token: "vg_test_nobody" });
  await expect(scene.watch(id, {}, stranger).ended).rejects.toMatchObject({ code: "unauthenticated" });
  // An intermediary that knows no such page. The Connect protocol reads it so.
  await scene.faults({ procedure: "WatchStatus", fault: "status", status: 404, body: "<html>not here</html>" });
  await expect(scene.watch(id).ended).rejects.toMatchObject({ code: "unimplemented" });
});

scenario("a token is asked for anew when it is refused", async ({ scene }) => {
  const id = await scene.start();
  const tokens = ["vg_test_expired", scene.gateway.apiKey];
  let asked = 0;
  const client = scene.client({ token: () => tokens[asked++] ?? scene.gateway.apiKey });
  const watching = scene.watch(id, {}, client);
  await watching.until(({ updates }) => updates.length === 1);
  expect(asked).toBe(2);
  const { calls } = await scene.streams();
  expect(calls.map(({ authorization }) => authorization)).toEqual(tokens.map((token) => `Bearer ${token}`));
  expect(watching.pauses).toEqual([]);

  // Later in the same watch once more, and then twice in a row, which is final.
  await refuse(scene, 1);
  await scene.proxy.now("WatchStatus", "cut");
  // A repeated state alone would not make it a new row.
  await scene.streams({ begun: 4, messages: 2, open: 1 });
  expect(watching.updates).toHaveLength(1);
  await refuse(scene, 2);
  await scene.proxy.now("WatchStatus", "cut");
  await expect(watching.ended).rejects.toMatchObject({ code: "unauthenticated", message: "expired" });
  expect(await scene.streams({ open: 0 })).toMatchObject({ begun: 6 });
});

function refuse(scene: Scene, times: number): Promise<void> {
  return scene.faults({ procedure: "WatchStatus", fault: "error", code: "unauthenticated", message: "expired", times });
}

scenario("when streams keep failing it polls, and later tries a stream again", async ({ scene }) => {
  // Time stands still, so that only what happens changes the way.
  const seams = { random: () => 0, now: () => 0 };
  await scene.faults({ procedure: "WatchStatus", fault: "truncate" });
  const id = await scene.start();
  const watching = scene.watch(id, {}, scene.client({ seams }));
  await watching.until(({ updates, lines }) => updates.length === 1 && lines.at(-1)?.state === "polling");
  // One poll for the state now, then a long one.
  await scene.polls({ begun: 2, open: 1 });
  expect(await scene.streams({ open: 0 })).toMatchObject({ begun: 3 });
  await scene.complete(id, "review");
  await watching.until(({ updates }) => updates.at(-1)?.state === VerificationState.IN_REVIEW);
  expect(await scene.streams({ open: 0 })).toMatchObject({ begun: 3 });
  expect(watching.lines.at(-1)?.state).toBe("polling");

  // When a poll fails too, the line was at fault: streams are tried in between.
  const { begun } = await scene.polls({ open: 1 });
  await scene.faults({ procedure: "WatchStatus", fault: "truncate" }, { procedure: "GetVerification", fault: "refuse", times: 2 });
  await scene.proxy.now("GetVerification", "cut");
  await scene.polls({ begun: begun + 4, open: 1 });
  expect(await scene.streams({ open: 0 })).toMatchObject({ begun: 6 });
  expect(watching.lines.at(-1)?.state).toBe("polling");

  // Streams work again.
  await scene.faults();
  await scene.proxy.now("GetVerification", "cut");
  const { calls } = await scene.streams({ begun: 7, messages: 1 });
  expect(requested(calls[6]!).afterVersion).toBe(watching.versions.at(-1));
  await watching.until(({ lines }) => lines.at(-1)?.state === "live");
  await scene.decide(id, "approved");
  await watching.ended;
  watching.expectOrdered();
  expect(watching.updates.at(-1)).toMatchObject({ state: VerificationState.APPROVED, terminal: true });
});
