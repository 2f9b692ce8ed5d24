// @vitest-environment jsdom
/**
 * The hook against the real gateway. What calls a component leaves open, only
 * the fault proxy between them can tell.
 */
import { create } from "@bufbuild/protobuf";
import { act, cleanup, renderHook, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { StatusUpdateSchema, VerificationResult, type StatusUpdate } from "../../../gen/ts/verigate/v1/verification_pb.js";
import { createVerigate, type Verigate } from "../src/index.js";
import { useWatch, type UseWatchOptions, type Watched } from "../src/react.js";
import { FaultProxy, requested } from "./support/faultproxy.js";
import { pass, startVerification } from "./support/verification.js";

const gateway = { url: inject("url"), apiKey: inject("apiKey") };
let proxy: FaultProxy;
let verigate: Verigate;

beforeEach(async () => {
  proxy = await FaultProxy.start(gateway.url);
  verigate = createVerigate({ baseUrl: proxy.url, token: gateway.apiKey });
});

afterEach(async () => {
  cleanup();
  await proxy.stop();
});

interface Props {
  id: string | undefined;
  options?: UseWatchOptions;
}

function render(props: Props, reactStrictMode = false) {
  return renderHook(({ id, options }: Props) => useWatch(verigate, id, options), { initialProps: props, reactStrictMode });
}

function shows(component: { result: { current: Watched } }, result: VerificationResult): Promise<void> {
  return waitFor(() => expect(component.result.current.update?.result).toBe(result), { timeout: 30_000 });
}

test("a component shows the current state and then the result, and its call is over", async () => {
  const id = await startVerification(gateway);
  const component = render({ id });
  expect(component.result.current).toEqual({ line: { state: "connecting" } });
  await shows(component, VerificationResult.PENDING);
  expect(component.result.current.line.state).toBe("live");

  await pass(gateway, id);
  await shows(component, VerificationResult.PASS);
  await waitFor(() => expect(component.result.current.line.state).toBe("ended"), { timeout: 30_000 });
  expect(component.result.current.error).toBeUndefined();
  await proxy.calls("WatchStatus", { open: 0 });
});

test("unmounting closes the call", async () => {
  const component = render({ id: await startVerification(gateway) });
  await shows(component, VerificationResult.PENDING);
  expect((await proxy.calls("WatchStatus")).open).toBe(1);
  component.unmount();
  expect((await proxy.calls("WatchStatus", { open: 0 })).begun).toBe(1);
});

test("StrictMode's second mount leaves one call open, and unmounting none", async () => {
  const component = render({ id: await startVerification(gateway) }, true);
  await shows(component, VerificationResult.PENDING);
  await proxy.calls("WatchStatus", { open: 1, messages: 1 });
  component.unmount();
  await proxy.calls("WatchStatus", { open: 0 });
});

test("another id closes the call, shows nothing of the old one, and opens a new call", async () => {
  const [first, second] = [await startVerification(gateway), await startVerification(gateway)];
  const component = render({ id: first });
  await shows(component, VerificationResult.PENDING);

  component.rerender({ id: second });
  expect(component.result.current).toEqual({ line: { state: "connecting" } });
  await shows(component, VerificationResult.PENDING);
  expect(component.result.current.update?.verificationId).toBe(second);
  const { calls } = await proxy.calls("WatchStatus", { begun: 2, open: 1 });
  expect(calls.map((call) => [requested(call).id, call.ended_ms === null])).toEqual([
    [first, false],
    [second, true],
  ]);
});

test("another client closes the call and opens a new one", async () => {
  const component = render({ id: await startVerification(gateway) });
  await shows(component, VerificationResult.PENDING);
  verigate = createVerigate({ baseUrl: proxy.url, token: gateway.apiKey });
  component.rerender({ id: component.result.current.update?.verificationId });
  expect(component.result.current.update).toBeUndefined();
  await shows(component, VerificationResult.PENDING);
  await proxy.calls("WatchStatus", { begun: 2, open: 1 });
});

test("no id, then an id: it waits, then watches", async () => {
  const component = render({ id: undefined });
  expect(component.result.current).toEqual({ line: { state: "connecting" } });
  component.rerender({ id: await startVerification(gateway) });
  await shows(component, VerificationResult.PENDING);
  expect((await proxy.calls("WatchStatus")).begun).toBe(1);
  component.rerender({ id: undefined });
  expect(component.result.current).toEqual({ line: { state: "connecting" } });
  await proxy.calls("WatchStatus", { open: 0 });
});

test("new options with the same content go on, others start anew", async () => {
  const id = await startVerification(gateway);
  const component = render({ id, options: { followRevisions: true } });
  await shows(component, VerificationResult.PENDING);
  component.rerender({ id, options: { followRevisions: true } });
  component.rerender({ id, options: { followRevisions: true } });
  await pass(gateway, id);
  await shows(component, VerificationResult.PASS);
  expect((await proxy.calls("WatchStatus")).begun).toBe(1);

  component.rerender({ id, options: { followRevisions: false } });
  expect(component.result.current.update?.result).toBe(VerificationResult.PASS);
  const { calls } = await proxy.calls("WatchStatus", { begun: 2, open: 0 });
  expect(calls.map((call) => requested(call).followRevisions)).toEqual([true, false]);
});

test("an error that retrying cannot heal is shown", async () => {
  const component = render({ id: "0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d" });
  await waitFor(() => expect(component.result.current.error?.code).toBe("not_found"), { timeout: 30_000 });
  expect(component.result.current.update).toBeUndefined();
  expect(component.result.current.line.state).toBe("ended");
});

test("what arrives late for another id is never shown", async () => {
  let arrive: () => void = () => undefined;
  const late = new Promise<void>((resolve) => (arrive = resolve));
  let over: () => void = () => undefined;
  const done = new Promise<void>((resolve) => (over = resolve));
  // A watch that does not listen to its signal.
  const watch = async function* (id: string): AsyncGenerator<StatusUpdate> {
    if (id === "new") {
      yield create(StatusUpdateSchema, { verificationId: id });
      return;
    }
    await late;
    yield create(StatusUpdateSchema, { verificationId: id });
    over();
  };
  verigate = { ...verigate, watch };
  const component = render({ id: "old" });
  component.rerender({ id: "new" });
  await waitFor(() => expect(component.result.current.update?.verificationId).toBe("new"));
  const before = component.result.current;
  await act(async () => {
    arrive();
    await done;
  });
  expect(component.result.current).toBe(before);
});
