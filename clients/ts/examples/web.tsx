/**
 * A web app that has its user verified: the example of docs/integrate/web.md.
 *
 *     VerifyButton ── click ──► your backend ──► the hosted page, in this tab or a new one
 *     Verified, on the page that the person comes back to ──► your backend ──► watch ──► words
 *
 * The app holds nothing between the two: your backend gives the same verification
 * again to whoever is logged in, in whichever tab.
 */
import { useCallback, useEffect, useMemo, useState } from "react";
import { createVerigate, VerificationResult, VerificationState, type Line, type StatusUpdate } from "@verigate/client";
import { useWatch } from "@verigate/client/react";

/** What your backend answers to POST /verifications. */
export interface Begun {
  readonly id: string;
  /** Empty when the verification is over. */
  readonly hostedUrl: string;
  readonly clientToken: string;
}

/** Asks your backend for the verification that is under way, or for a new try after one that failed. */
export async function begin(again = false): Promise<Begun> {
  const answer = await fetch("/verifications", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ app: "web", again }),
  });
  if (!answer.ok) {
    throw new Error(`verification could not begin: ${answer.status}`);
  }
  return (await answer.json()) as Begun;
}

/** Leaves for the hosted page in this tab, or goes on to the result of one that is over. */
export async function openHere(again = false): Promise<void> {
  const { hostedUrl } = await begin(again);
  location.assign(hostedUrl === "" ? "/verified" : hostedUrl);
}

/** Opens the hosted page in a new tab. Call it in the click itself. */
export async function openInNewTab(again = false): Promise<void> {
  // Before anything is awaited: afterwards browsers take it for a pop-up.
  const tab = window.open("", "_blank");
  if (tab === null) {
    return openHere(again);
  }
  // The provider's page has no business with ours.
  tab.opener = null;
  try {
    const { hostedUrl } = await begin(again);
    tab.location.assign(hostedUrl === "" ? "/verified" : hostedUrl);
  } catch (error) {
    tab.close();
    throw error;
  }
}

/** The button. */
export function VerifyButton({ again = false }: { again?: boolean }) {
  const [problem, setProblem] = useState("");
  const open = () => {
    openHere(again).catch(() => setProblem("That did not work. Please try again in a moment."));
  };
  return (
    <p>
      <button onClick={open}>{again ? "Try again" : "Verify me"}</button> <span role="alert">{problem}</span>
    </p>
  );
}

/** The page of the redirect URL, and of whoever comes by while a verification is under way. */
export function Verified({ gateway }: { gateway: string }) {
  const [begun, setBegun] = useState<Begun>();
  const [problem, setProblem] = useState("");
  const ask = useCallback(() => {
    begin().then(setBegun, () => setProblem("We cannot reach our server. Please reload this page."));
  }, []);
  useEffect(ask, [ask]);

  const verigate = useMemo(() => begun && createVerigate({ baseUrl: gateway, token: begun.clientToken }), [gateway, begun]);
  const { update, line, error } = useWatch(verigate, begun?.id);

  if (problem !== "" || error !== undefined) {
    return <p role="alert">{problem || "We cannot follow this any more. Please reload this page."}</p>;
  }
  return (
    <section>
      <p role="status">{words(update)}</p>
      <p>{lineWords(line)}</p>
      {update?.state === VerificationState.PENDING && begun?.hostedUrl && <a href={begun.hostedUrl}>Go on where you left off</a>}
      {update?.result === VerificationResult.FAIL && <VerifyButton again />}
    </section>
  );
}

/** What to say to a person. What the person may do, your backend decides. */
export function words(update: StatusUpdate | undefined): string {
  switch (update?.result) {
    case VerificationResult.PASS:
      return "You are verified.";
    case VerificationResult.FAIL:
      return update.state === VerificationState.DECLINED ? "We could not verify you." : "This verification is over.";
  }
  switch (update?.state) {
    case VerificationState.PENDING:
      return "Waiting for you.";
    case VerificationState.IN_REVIEW:
      return "A person looks at it. That may take hours; you can close this page.";
    default:
      // Also for a state that a newer gateway may know.
      return "Confirming…";
  }
}

/** Says something only when the line needs patience. */
export function lineWords(line: Line): string {
  return line.state === "waiting" && (line.retryInMs ?? 0) > 2000 ? "The connection is poor; we keep trying." : "";
}
