/**
 * The client of one gateway: start, get and watch. It holds no connection of its
 * own, only what its open watches need.
 */
import { create, toJson, type MessageInitShape } from "@bufbuild/protobuf";
import type { StatusUpdate, Verification } from "../../../gen/ts/verigate/v1/verification_pb.js";
import {
  StartVerificationRequestSchema,
  type StartVerificationRequest,
  type StartVerificationResponse,
} from "../../../gen/ts/verigate/v1/verification_service_pb.js";
import { globalFetchStreams } from "./ability.js";
import { Attempt } from "./attempt.js";
import { createCalls } from "./calls.js";
import { VerigateError } from "./errors.js";
import { judge } from "./failure.js";
import { settle, type VerigateOptions } from "./options.js";
import { Presence } from "./presence.js";
import { realSeams, type Seams } from "./seams.js";
import { reasonOf } from "./signal.js";
import type { Shared, WatchOptions } from "./terms.js";
import { verificationOf } from "./updates.js";
import { Watch } from "./watch.js";

/** The fields of StartVerificationRequest; only `flow` and, with an API key, `subject` are needed. */
export type StartInit = MessageInitShape<typeof StartVerificationRequestSchema>;

/** What start returns. */
export type Started = StartVerificationResponse & { verification: Verification };

/** What one call may be told. */
export interface CallOptions {
  /** Ends the call, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Verigate is the client of one gateway with one credential. */
export interface Verigate {
  /**
   * Starts a verification. Open `hostedUrl` for the person, give `clientToken`
   * to the app. It makes an idempotency key unless you pass your own, which you
   * need to try a failed start again without starting twice. Ends after 30 s at
   * the latest; rejects with a VerigateError.
   */
  start(init: StartInit, options?: CallOptions): Promise<Started>;

  /**
   * Gets a verification by its id, or the newest one with a reference. Ends
   * after 30 s at the latest; rejects with a VerigateError.
   */
  get(which: string | { readonly reference: string }, options?: CallOptions): Promise<Verification>;

  /**
   * Watches a verification: yields its state now and then each newer version,
   * once and in order, through cuts, restarts and changes of network, and ends
   * after a terminal one. Each iteration is a watch of its own. Leaving the loop
   * closes the call. It rejects with a VerigateError that no other try can heal
   * (`unauthenticated`, `permission_denied`, `not_found`, `invalid_argument`,
   * `out_of_range`, `unimplemented`), or with the reason of the signal.
   */
  watch(id: string, options?: WatchOptions): AsyncIterable<StatusUpdate>;

  /**
   * The app goes to the background: from now on silence says nothing. In a
   * browser the client does this by itself.
   */
  pause(): void;

  /**
   * The app is in front again: every open watch opens a new stream at once. In a
   * browser the client does this by itself.
   */
  resume(): void;
}

const DEADLINE_MS = 30_000;

/**
 * Makes a client. Nothing is sent yet. Throws a VerigateError
 * `invalid_argument` that names a wrong option.
 */
export function createVerigate(options: VerigateOptions): Verigate;
/** @internal */
export function createVerigate(options: VerigateOptions, seams: Partial<Seams>): Verigate;
export function createVerigate(options: VerigateOptions, seams: Partial<Seams> = {}): Verigate {
  const settings = settle(options);
  const presence = new Presence();
  const shared: Shared = {
    baseUrl: settings.baseUrl,
    heartbeatMs: settings.heartbeatMs,
    tokenRenews: settings.tokenRenews,
    canStream: () => settings.fetch !== undefined || globalFetchStreams(),
    calls: createCalls(settings),
    presence,
    seams: { ...realSeams, ...seams },
  };
  const { calls } = shared;
  return {
    start: async (init, options) => {
      const request = startRequest(init);
      const started = await ask(shared, options, (call) => calls.startVerification(request, call));
      return Object.assign(started, { verification: verificationOf(started) });
    },
    get: async (which, options) => {
      const request = getRequest(which);
      return verificationOf(await ask(shared, options, (call) => calls.getVerification(request, call)));
    },
    watch: (id, options = {}) => {
      checkWatch(id, options);
      return { [Symbol.asyncIterator]: () => iterate(new Watch(shared, id, options)) };
    },
    pause: () => presence.pause(),
    resume: () => presence.resume(),
  };
}

// A generator's own return waits for the pending next: the watch is stopped
// first, so that next ends instead of waiting for the gateway.
function iterate(watch: Watch): AsyncIterator<StatusUpdate, void> {
  const messages = watch.messages();
  return {
    next: () => messages.next(),
    return: () => {
      watch.stop();
      return messages.return();
    },
    throw: (error: unknown) => {
      watch.stop();
      return messages.throw(error);
    },
  };
}

async function ask<T>(
  { seams }: Shared,
  { signal }: CallOptions = {},
  call: (options: { signal: AbortSignal; timeoutMs: number }) => Promise<T>,
): Promise<T> {
  if (signal?.aborted) {
    throw reasonOf(signal);
  }
  const attempt = new Attempt(seams);
  const stop = () => attempt.end("stopped");
  signal?.addEventListener("abort", stop);
  attempt.arm(DEADLINE_MS);
  try {
    return await attempt.race(call({ signal: attempt.signal, timeoutMs: DEADLINE_MS }));
  } catch (error) {
    if (attempt.why === "stopped") {
      throw reasonOf(signal as AbortSignal);
    }
    if (attempt.why === "silent") {
      throw new VerigateError("deadline_exceeded", "the gateway did not answer in time");
    }
    throw judge(error).error;
  } finally {
    attempt.disarm();
    signal?.removeEventListener("abort", stop);
  }
}

// A field of the wrong type is found before it is sent. The field is named, its
// value, which may be personal, is not.
function startRequest(init: StartInit): StartVerificationRequest {
  try {
    const request = create(StartVerificationRequestSchema, init);
    request.idempotencyKey ||= randomKey();
    toJson(StartVerificationRequestSchema, request);
    return request;
  } catch (error) {
    const field = /field verigate\.v1\.(?:StartVerificationRequest\.)?([\w.]+)/.exec(error instanceof Error ? error.message : "")?.[1];
    throw new VerigateError("invalid_argument", `start: ${field ?? "the argument"}: it has the wrong type`);
  }
}

function getRequest(which: string | { readonly reference: string }): { id: string } | { reference: string } {
  if (typeof which === "string" && which !== "") {
    return { id: which };
  }
  if (typeof which === "object" && which !== null && typeof which.reference === "string" && which.reference !== "") {
    return { reference: which.reference };
  }
  throw new VerigateError("invalid_argument", "get: give the verification's id or { reference }");
}

function checkWatch(id: unknown, { afterVersion }: WatchOptions): void {
  if (typeof id !== "string" || id === "") {
    throw new VerigateError("invalid_argument", "watch: id: give the verification's id");
  }
  if (afterVersion !== undefined && !(typeof afterVersion === "bigint" && afterVersion >= 0n)) {
    throw new VerigateError("invalid_argument", "watch: afterVersion: give a bigint from 0n up, such as a message's version");
  }
}

// Unique, not secret: crypto is missing on React Native and, in browsers, on
// pages that are not secure.
function randomKey(): string {
  const random = () => Math.random().toString(36).slice(2);
  return globalThis.crypto?.randomUUID?.() ?? `${Date.now().toString(36)}-${random()}-${random()}`;
}
