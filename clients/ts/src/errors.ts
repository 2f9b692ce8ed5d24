/**
 * What goes wrong, in words for the app: VerigateError is the only error that
 * this package makes. It never carries a request, so no token is in it.
 */

/**
 * The names of Connect's error codes
 * (https://connectrpc.com/docs/protocol#error-codes).
 */
export type VerigateCode =
  | "canceled"
  | "unknown"
  | "invalid_argument"
  | "deadline_exceeded"
  | "not_found"
  | "already_exists"
  | "permission_denied"
  | "resource_exhausted"
  | "failed_precondition"
  | "aborted"
  | "out_of_range"
  | "unimplemented"
  | "internal"
  | "unavailable"
  | "data_loss"
  | "unauthenticated";

/**
 * VerigateError is why a call or a watch failed. `message` is the gateway's own
 * text where it answered. `cause`, where there is one, is the name and text of
 * what the runtime reported, nothing more.
 */
export class VerigateError extends Error {
  override readonly name = "VerigateError";
  /** Connect's name of the code, such as "not_found". */
  readonly code: VerigateCode;

  constructor(code: VerigateCode, message: string, cause?: unknown) {
    super(message);
    this.code = code;
    if (cause !== undefined) {
      this.cause = plainCause(cause);
    }
  }
}

/** Whether trying again cannot heal an error of this code. */
export function isFinal(code: VerigateCode): boolean {
  return FINAL.has(code);
}

const FINAL: ReadonlySet<VerigateCode> = /*@__PURE__*/ new Set<VerigateCode>([
  "unauthenticated",
  "permission_denied",
  "not_found",
  "invalid_argument",
  "out_of_range",
  "unimplemented",
]);

// Errors of runtimes and of Connect drag requests, headers and bodies along.
// Only the innermost name and text are kept: "connect ECONNREFUSED …" says more
// than the "fetch failed" around it.
function plainCause(cause: unknown): Error {
  let inner = cause;
  for (let depth = 0; depth < 8 && inner instanceof Error && inner.cause instanceof Error; depth++) {
    inner = inner.cause;
  }
  const plain = new Error(inner instanceof Error ? inner.message : String(inner));
  plain.name = inner instanceof Error ? inner.name : "Error";
  delete plain.stack;
  return plain;
}
