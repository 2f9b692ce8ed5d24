/**
 * What the page knows of the verification that it started, and how that survives
 * a reload and a trip to the hosted page in this very tab: session storage, which
 * lives as long as the tab. The client token in it is good for watching this one
 * verification only.
 */
import type { ResultName } from "./words.js";

/** One recorded state of the verification. */
export interface Step {
  readonly version: number;
  /** Such as `in_review`. */
  readonly state: string;
  readonly result: ResultName;
  readonly reasons: readonly string[];
  /** When it was recorded, ISO 8601, by the gateway's clock. */
  readonly at: string;
  readonly terminal: boolean;
}

/** One callback as the page's backend half received it, its signature verified. */
export interface Callback {
  /** The webhook-id. */
  readonly id: string;
  /** When it arrived, ISO 8601. */
  readonly receivedAt: string;
  /** The body, byte for byte. */
  readonly body: string;
}

/** A verification that this tab started. */
export interface Session {
  readonly id: string;
  readonly token: string;
  readonly hostedUrl: string;
  /** Names this start: in the return URL, and the right to hear its callbacks. */
  readonly run: string;
  readonly flow: string;
  readonly reference: string;
  /** When it was created, ISO 8601, by the gateway's clock. */
  readonly startedAt: string;
  readonly steps: readonly Step[];
  readonly callbacks: readonly Callback[];
}

/** Also the name of the channel on which tabs speak; see channel.ts. */
export const storageName = "verigate-demo";

/** More callbacks of one verification than this are not kept in the tab. */
const maxCallbacks = 50;

/** The newest state, if one is known. */
export function latest(session: Session | undefined): Step | undefined {
  return session?.steps.at(-1);
}

/** Adds a step unless it is not newer than what is known. */
export function withStep(session: Session, step: Step): Session {
  return step.version > (latest(session)?.version ?? 0) ? { ...session, steps: [...session.steps, step] } : session;
}

/** Adds a callback unless its webhook-id came before. */
export function withCallback(session: Session, callback: Callback): Session {
  if (session.callbacks.some(({ id }) => id === callback.id)) {
    return session;
  }
  return { ...session, callbacks: [...session.callbacks, callback].slice(-maxCallbacks) };
}

/** Keeps the session for the next load of this tab. */
export function remember(session: Session): void {
  sessionStorage.setItem(storageName, JSON.stringify(session));
}

/** Forgets it, so that a reload begins anew. */
export function forget(): void {
  sessionStorage.removeItem(storageName);
}

/** What this tab started, if it did; damaged storage is none. */
export function recall(): Session | undefined {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(storageName) ?? "null");
    return isSession(stored) ? stored : undefined;
  } catch {
    return undefined;
  }
}

function isSession(value: unknown): value is Session {
  if (typeof value !== "object" || value === null) {
    return false;
  }
  const { steps, callbacks, ...texts } = value as Record<string, unknown>;
  const names = ["id", "token", "hostedUrl", "run", "flow", "reference", "startedAt"];
  return Array.isArray(steps) && Array.isArray(callbacks) && names.every((name) => typeof texts[name] === "string");
}
