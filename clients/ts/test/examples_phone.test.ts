// @vitest-environment jsdom
/**
 * The React Native app of docs/integrate on the example backend, on the real
 * gateway. Its React Native is examples_phone.ts.
 */
import { act, cleanup, renderHook, waitFor } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { VerificationResult, VerificationState } from "@verigate/client";
import { useVerification } from "../examples/react_native.js";
import { begin } from "../examples/web.js";
import { gateway, patience, sandbox, useSite } from "./examples_backend.js";
import { phone } from "./examples_phone.js";

useSite();

afterEach(cleanup);

test("the React Native app goes to the page, into the background, and is back by its link, even if it was killed", async () => {
  const app = renderHook(() => useVerification(gateway.url, begin));
  await act(() => app.result.current.open());
  const { id, hostedUrl } = await begin();
  expect(phone.opened).toEqual([hostedUrl]);
  await waitFor(() => expect(app.result.current.update?.state).toBe(VerificationState.PENDING), patience);

  act(() => phone.states.tell("background"));
  await sandbox("complete", id, "--outcome", "pass");
  act(() => phone.states.tell("active"));
  act(() => phone.links.tell({ url: "myapp://verify-complete" }));
  await waitFor(() => expect(app.result.current.update?.result).toBe(VerificationResult.PASS), patience);
  app.unmount();
  expect([phone.links.size, phone.states.size]).toEqual([0, 0]);

  phone.initialURL = "myapp://verify-complete";
  const again = renderHook(() => useVerification(gateway.url, begin));
  await waitFor(() => expect(again.result.current.update?.result).toBe(VerificationResult.PASS), patience);
  expect(phone.opened).toHaveLength(1);
});

test("a link that is not ours changes nothing", () => {
  phone.initialURL = null;
  let asked = 0;
  const count = () => {
    asked++;
    return new Promise<never>(() => undefined);
  };
  renderHook(() => useVerification(gateway.url, count));
  act(() => phone.links.tell({ url: "myapp://other" }));
  expect(asked).toBe(0);
  act(() => phone.links.tell({ url: "myapp://verify-complete" }));
  expect(asked).toBe(1);
});
