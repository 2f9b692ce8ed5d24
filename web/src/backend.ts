/**
 * The calls to the page's backend half, which holds the API key: what may be
 * started, and starting it.
 */
import type { Session } from "./session.js";

/** One choice on the page. */
export interface Flow {
  readonly name: string;
  readonly title: string;
  readonly description: string;
}

/** Why a call did not work, in words for the person. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

const noAnswer = "The gateway does not answer. Check that it is running, then try again.";

/** The flows in the order in which they are offered. Fails with a Refusal. */
export async function listFlows(signal: AbortSignal): Promise<readonly Flow[]> {
  const response = await call("/demo/flows", { signal });
  return (await response.json()) as readonly Flow[];
}

interface StartAnswer {
  readonly verification_id: string;
  readonly hosted_url: string;
  readonly client_token: string;
  readonly run: string;
  readonly started_at: string;
}

/** Starts a verification. The reference may be empty. Fails with a Refusal. */
export async function start(flow: string, reference: string): Promise<Session> {
  const response = await call("/demo/start", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ flow, reference }),
  });
  const answer = (await response.json()) as StartAnswer;
  return {
    id: answer.verification_id,
    token: answer.client_token,
    hostedUrl: answer.hosted_url,
    run: answer.run,
    flow,
    reference,
    startedAt: answer.started_at,
    steps: [],
    callbacks: [],
  };
}

async function call(path: string, options: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, options);
  } catch (cause) {
    throw new Refusal(noAnswer, { cause });
  }
  if (!response.ok) {
    throw new Refusal((await response.text()).trim() || noAnswer);
  }
  return response;
}
