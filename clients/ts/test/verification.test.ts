import { Code, ConnectError } from "@connectrpc/connect";
import { randomUUID } from "node:crypto";
import { describe, expect, inject, test } from "vitest";
import {
  StatusUpdateKind,
  VerificationResult,
  VerificationState,
  type StatusUpdate,
} from "../../../gen/ts/verigate/v1/verification_pb.js";
import { client, complete, transports, type Verifications } from "./calls.js";

// One after the other: identity verifications are matched by inference, and two
// open ones would park each other's webhooks.
describe.sequential.each(Object.entries(transports))("%s", (_, transport) => {
  const backend = client(transport, inject("url"), inject("apiKey"));

  test("a watch sees pending, processing and the terminal pass", async () => {
    const { app, id, hostedUrl } = await start(backend, transport);
    const seen: StatusUpdate[] = [];
    for await (const update of app.watchStatus({ id })) {
      seen.push(update);
      if (update.kind === StatusUpdateKind.SNAPSHOT) {
        await complete(hostedUrl, "pass");
      }
    }
    const states = seen.filter((u) => u.kind !== StatusUpdateKind.HEARTBEAT).map((u) => u.state);
    expect(states[0]).toBe(VerificationState.PENDING);
    expect(states).toContain(VerificationState.PROCESSING);
    expect(seen.at(-1)).toMatchObject({
      state: VerificationState.APPROVED,
      result: VerificationResult.PASS,
      terminal: true,
    });
    const versions = seen.map((u) => u.version);
    expect(versions).toEqual(versions.toSorted((a, b) => Number(a - b)));
  });

  test("a failed run is a fail, by long poll", async () => {
    const { app, id, hostedUrl } = await start(backend, transport);
    await complete(hostedUrl, "fail");
    let { verification } = await app.getVerification({ id });
    while (verification?.result === VerificationResult.PENDING) {
      ({ verification } = await app.getVerification({
        id,
        afterVersion: verification.version,
        wait: { seconds: 10n, nanos: 0 },
      }));
    }
    expect(verification).toMatchObject({ state: VerificationState.DECLINED, result: VerificationResult.FAIL });
  });

  test("aborting ends a watch as canceled", async () => {
    const { app, id } = await start(backend, transport);
    const abort = new AbortController();
    const watching = (async () => {
      for await (const _update of app.watchStatus({ id }, { signal: abort.signal })) {
        abort.abort();
      }
    })();
    await expect(watching).rejects.toMatchObject({ code: Code.Canceled });
    await backend.cancelVerification({ id, reason: "the test is over" });
  });

  test("a backend lists what it started and may not be imitated by an app", async () => {
    const { app, id, subject } = await start(backend, transport);
    const { verifications } = await backend.listVerifications({ subject });
    expect(verifications.map((v) => v.id)).toEqual([id]);
    await expect(app.listVerifications({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    await expect(app.getVerification({ id: randomUUID() })).rejects.toMatchObject({ code: Code.NotFound });
    await backend.cancelVerification({ id });
  });

  test("a broken rule names its field", async () => {
    const wrong = backend.startVerification({ flow: "identity", subject: "" });
    await expect(wrong).rejects.toBeInstanceOf(ConnectError);
    await expect(wrong).rejects.toMatchObject({ code: Code.InvalidArgument });
    await expect(wrong).rejects.toThrow(/subject/);
  });
});

async function start(backend: Verifications, transport: (typeof transports)[string]) {
  const subject = `ts-${randomUUID()}`;
  const answer = await backend.startVerification({
    flow: "identity",
    subject,
    redirectUrl: "myapp://verify-complete",
    failureRedirectUrl: "myapp://verify-failed",
  });
  const id = answer.verification?.id ?? "";
  return { app: client(transport, inject("url"), answer.clientToken), id, subject, hostedUrl: answer.hostedUrl };
}
