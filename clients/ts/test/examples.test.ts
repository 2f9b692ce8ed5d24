// @vitest-environment jsdom
/**
 * The web app of docs/integrate on the example backend, on the real gateway, from
 * the click to the result.
 */
import { create } from "@bufbuild/protobuf";
import { cleanup, render, screen } from "@testing-library/react";
import { createElement } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { VerificationResult, VerificationState } from "@verigate/client";
import { begin, lineWords, openInNewTab, Verified, words } from "../examples/web.js";
import { StatusUpdateSchema } from "../../../gen/ts/verigate/v1/verification_pb.js";
import { gateway, patience, realFetch, sandbox, useSite, verified } from "./examples_backend.js";

const site = useSite();

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

test("the web app sees its user through, and the backend decides by itself", async () => {
  const { id } = await begin();
  expect((await begin()).id).toBe(id);
  render(createElement(Verified, { gateway: gateway.url }));
  expect(await screen.findByText("Waiting for you.", undefined, patience)).toBeTruthy();
  expect(screen.getByText("Go on where you left off").getAttribute("href")).toContain(gateway.url);
  expect(await verified(site)).toBe(false);

  await sandbox("complete", id, "--outcome", "pass");
  expect(await screen.findByText("You are verified.", undefined, patience)).toBeTruthy();
  await vi.waitFor(async () => expect(await verified(site)).toBe(true), patience);

  await sandbox("case", id, "--result", "declined", "--reason", "FAKE_ID");
  await vi.waitFor(async () => expect(await verified(site)).toBe(false), patience);
});

test("whoever fails may try again, with another verification", async () => {
  const { id } = await begin();
  expect((await begin(true)).id).toBe(id);
  render(createElement(Verified, { gateway: gateway.url }));
  await sandbox("complete", id, "--outcome", "fail");
  expect(await screen.findByText("We could not verify you.", undefined, patience)).toBeTruthy();
  expect(screen.getByText("Try again")).toBeTruthy();
  // Asking tells the backend too, if its callback is still on the way.
  expect((await begin()).id).toBe(id);
  const second = await begin(true);
  expect(second.id).not.toBe(id);
  expect((await begin()).id).toBe(second.id);
});

test("a new tab is opened before anything is awaited", async () => {
  const tab = { opener: window as unknown, location: { assign: vi.fn() }, close: vi.fn() };
  const open = vi.spyOn(window, "open").mockReturnValue(tab as unknown as Window);
  const opening = openInNewTab();
  expect(open).toHaveBeenCalledWith("", "_blank");
  await opening;
  expect(tab.opener).toBeNull();
  expect(tab.location.assign).toHaveBeenCalledWith((await begin()).hostedUrl);

  vi.stubGlobal("fetch", () => Promise.resolve(new Response("", { status: 503 })));
  await expect(openInNewTab()).rejects.toThrow("503");
  expect(tab.close).toHaveBeenCalledOnce();
});

test("the backend refuses whom it does not know and what it does not have", async () => {
  const post = (init: RequestInit) => realFetch(`${site.address}/verifications`, { method: "POST", ...init });
  expect((await post({ body: '{"app":"web"}' })).status).toBe(401);
  for (const body of ['{"app":"https://evil.example"}', '{"app":"toString"}', "no JSON", "x".repeat(10_000)]) {
    expect((await post({ body, headers: { "X-Demo-User": site.user } })).status).toBe(400);
  }
  expect((await realFetch(`${site.address}/verigate/callbacks`, { method: "POST", body: "{}" })).status).toBe(401);
  expect((await realFetch(`${site.address}/other`, { headers: { "X-Demo-User": site.user } })).status).toBe(404);
});

test("each state has its words, also one that is not known yet", () => {
  const say = (state: number, result = VerificationResult.PENDING) => words(create(StatusUpdateSchema, { state, result }));
  expect(words(undefined)).toBe("Confirming…");
  expect(say(VerificationState.PROCESSING)).toBe("Confirming…");
  expect(say(99)).toBe("Confirming…");
  expect(say(VerificationState.IN_REVIEW)).toContain("hours");
  expect(say(VerificationState.EXPIRED, VerificationResult.FAIL)).toBe("This verification is over.");
  expect(lineWords({ state: "waiting", retryInMs: 500 })).toBe("");
  expect(lineWords({ state: "waiting", retryInMs: 5000 })).toContain("we keep trying");
});
