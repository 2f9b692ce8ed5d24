/**
 * A backend whose users are verified: the example of docs/integrate/backend.md in
 * TypeScript. The same in Go, with a longer explanation, is docs/integrate/backend.
 *
 *     app     ── POST /verifications ───────► start
 *     gateway ── POST /verigate/callbacks ──► get, Users.record
 *     app     ── GET /me ───────────────────► Users.verified
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { VerificationMatch, VerificationResult, VerigateError, type Verification, type Verigate } from "@verigate/client";
import { receiver } from "../test/receiver.js";

/** What the backend needs. */
export interface BackendOptions {
  /** The gateway's client, with an API key. */
  readonly verigate: Verigate;
  readonly flow: string;
  /** Where each app is opened again, by the app's name. */
  readonly redirects: Readonly<Record<string, string>>;
  /** Where the gateway reaches /verigate/callbacks; leave it out when the flow's configuration says it. */
  readonly callbackUrl?: string;
  /** What callbacks are signed with. */
  readonly callbackSecret: string;
  /** Who is logged in: your sessions. */
  readonly user: (request: IncomingMessage) => string | undefined;
}

/** The newest that is known of each verification: a table of yours. */
export class Users {
  readonly #rows = new Map<string, Verification>();

  /** What is not newer than what is known changes nothing. */
  record(verification: Verification): void {
    if ((this.#rows.get(verification.id)?.version ?? 0n) < verification.version) {
      this.#rows.set(verification.id, verification);
    }
  }

  /** Whether a user passed, for certain. */
  verified(user: string): boolean {
    return [...this.#rows.values()].some(
      (row) => row.subject === user && row.result === VerificationResult.PASS && row.match === VerificationMatch.EXACT,
    );
  }

  /** Names the try that is under way or was the last; with again the one after a failed one. */
  reference(user: string, again: boolean): string {
    const own = [...this.#rows.values()].filter((row) => row.subject === user);
    // Ids grow with time (UUIDv7).
    const last = own.sort((a, b) => (a.id < b.id ? -1 : 1)).at(-1);
    if (last === undefined) {
      return "first";
    }
    return again && last.result === VerificationResult.FAIL ? `after ${last.id}` : last.reference;
  }
}

/** Serves the apps and the gateway; give it to createServer. */
export function backend(options: BackendOptions): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { verigate, callbackSecret, user } = options;
  const users = new Users();
  const callbacks = receiver(callbackSecret, async (event) => users.record(await verigate.get(event.verificationId)));
  return async (request, response) => {
    const route = `${request.method} ${request.url}`;
    if (route === "POST /verigate/callbacks") {
      return callbacks(request, response);
    }
    const who = user(request);
    if (who === undefined) {
      return answer(response, 401, { error: "log in first" });
    }
    if (route === "POST /verifications") {
      return start(options, users, who, request, response);
    }
    if (route === "GET /me") {
      return answer(response, 200, { user: who, verified: users.verified(who) });
    }
    return answer(response, 404, { error: "there is nothing here" });
  };
}

async function start(
  { verigate, flow, redirects, callbackUrl = "" }: BackendOptions,
  users: Users,
  user: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { app, again } = await asked(request);
  const redirectUrl = Object.hasOwn(redirects, app) ? redirects[app] : undefined;
  if (redirectUrl === undefined) {
    return answer(response, 400, { error: `app: must be one of ${Object.keys(redirects).join(", ")}` });
  }
  const reference = users.reference(user, again);
  try {
    const { verification, hostedUrl, clientToken } = await verigate.start({
      flow,
      subject: user,
      reference,
      idempotencyKey: `${user}/${app}/${reference}`,
      redirectUrl,
      failureRedirectUrl: redirectUrl,
      callbackUrl,
      eventsCallbackUrl: callbackUrl,
    });
    users.record(verification);
    return answer(response, 200, { id: verification.id, hostedUrl, clientToken });
  } catch (error) {
    const busy = error instanceof VerigateError && ["unavailable", "resource_exhausted", "aborted", "deadline_exceeded"].includes(error.code);
    return answer(response, busy ? 503 : 500, { error: busy ? "try again in a moment" : "verifications cannot be started" });
  }
}

async function asked(request: IncomingMessage): Promise<{ app: string; again: boolean }> {
  let text = "";
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > 4096) {
      break;
    }
  }
  try {
    const { app, again } = JSON.parse(text) as { app?: unknown; again?: unknown };
    return { app: String(app), again: again === true };
  } catch {
    return { app: "", again: false };
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" }).end(JSON.stringify(body));
}
