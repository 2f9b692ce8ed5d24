/** What createVerigate and the calls refuse before anything is sent. */
import { describe, expect, test } from "vitest";
import { createVerigate, VerigateError, type VerigateOptions } from "../src/index.js";

const good = { baseUrl: "http://127.0.0.1:1", token: "vg_test_somebody" };

// Nothing may be sent by what is tested here.
const fetch = () => Promise.reject(new Error("it was sent"));
const verigate = createVerigate({ ...good, fetch });

describe("createVerigate", () => {
  test.each([
    ["baseUrl", { baseUrl: undefined }],
    ["baseUrl", { baseUrl: "" }],
    ["baseUrl", { baseUrl: "verify.example.com" }],
    ["baseUrl", { baseUrl: "/api" }],
    ["baseUrl", { baseUrl: "ftp://verify.example.com" }],
    ["baseUrl", { baseUrl: "https://verify.example.com?tenant=1" }],
    ["baseUrl", { baseUrl: "https://verify.example.com/#top" }],
    ["baseUrl", { baseUrl: "https://user:hunter2@verify.example.com" }],
    ["baseUrl", { baseUrl: "https://" }],
    ["token", { token: undefined }],
    ["token", { token: "" }],
    ["token", { token: "hunter2\n" }],
    ["token", { token: "hunter2 hunter2" }],
    ["heartbeatMs", { heartbeatMs: 0 }],
    ["heartbeatMs", { heartbeatMs: 15 }],
    ["heartbeatMs", { heartbeatMs: Number.NaN }],
    ["heartbeatMs", { heartbeatMs: "15000" }],
    ["fetch", { fetch: "fetch" }],
  ])("names the wrong option %s: %j", (option, wrong) => {
    const create = () => createVerigate({ ...good, ...wrong } as unknown as VerigateOptions);
    expect(create).toThrow(VerigateError);
    expect(create).toThrow(expect.objectContaining({ code: "invalid_argument", message: expect.stringContaining(`${option}: `) }));
    expect(create).not.toThrow(/hunter2/);
  });

  test("says what to pass when it is given nothing", () => {
    expect(() => createVerigate(undefined as unknown as VerigateOptions)).toThrow("pass { baseUrl, token }");
  });

  test.each(["https://verify.example.com", "https://verify.example.com/", "http://[::1]:8080", "HTTPS://verify.example.com:8443/gateway/"])(
    "takes %s",
    (baseUrl) => {
      expect(createVerigate({ ...good, baseUrl })).toHaveProperty("watch");
    },
  );
});

describe("a call", () => {
  test("refuses a field of the wrong type by its name, not its value", async () => {
    const userData = { dateOfBirth: 19120623 as unknown as string };
    const started = verigate.start({ flow: "kyc", subject: "somebody", userData });
    await expect(started).rejects.toMatchObject({ name: "VerigateError", code: "invalid_argument" });
    await expect(started).rejects.toThrow(/start: .*date_of_birth/);
    await expect(started).rejects.not.toThrow(/1912/);
  });

  test("get wants an id or a reference", async () => {
    await expect(verigate.get("")).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(verigate.get({ reference: "" })).rejects.toThrow("get: give the verification's id or { reference }");
  });

  test("watch wants an id and a version", () => {
    expect(() => verigate.watch("")).toThrow("watch: id: give the verification's id");
    expect(() => verigate.watch("id", { afterVersion: 3 as unknown as bigint })).toThrow("watch: afterVersion: give a bigint");
    expect(() => verigate.watch("id", { afterVersion: -1n })).toThrow("watch: afterVersion: give a bigint");
  });

  test("a token function that fails or gives nonsense fails the call, without the token in it", async () => {
    const failing = createVerigate({ ...good, fetch, token: () => Promise.reject(new Error("signed out")) });
    await expect(failing.get("id")).rejects.toMatchObject({
      code: "unavailable",
      message: "token: the function failed",
      cause: expect.objectContaining({ message: "signed out" }),
    });
    const nonsense = createVerigate({ ...good, fetch, token: () => "hunter2\r\nCookie: x" });
    await expect(nonsense.get("id")).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(nonsense.get("id")).rejects.not.toThrow(/hunter2/);
  });

  test("an error says that nobody answered, and keeps nothing of the request", async () => {
    const error = await verigate.get("id").catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "unavailable", cause: expect.objectContaining({ message: "it was sent" }) });
    expect(JSON.stringify([error, { ...(error as VerigateError).cause as Error }])).not.toContain(good.token);
  });

  test("ends with the reason of its signal, before and during it", async () => {
    await expect(verigate.get("id", { signal: AbortSignal.abort("early") })).rejects.toBe("early");
    const stop = new AbortController();
    const hanging = createVerigate({ ...good, fetch: () => new Promise(() => stop.abort("late")) });
    await expect(hanging.get("id", { signal: stop.signal })).rejects.toBe("late");
  });

  test("ends at its deadline, even when the token never comes", async () => {
    const timers: (() => void)[] = [];
    const after = (ms: number, run: () => void) => {
      expect(ms).toBe(30_000);
      timers.push(run);
      return () => undefined;
    };
    const waiting = createVerigate({ ...good, token: () => new Promise(() => timers[0]?.()) }, { after });
    await expect(waiting.get("id")).rejects.toMatchObject({ code: "deadline_exceeded" });
  });
});
