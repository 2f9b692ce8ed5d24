/**
 * Judges what a call threw: which error it is for the app, whether another try
 * can heal it, and how long the gateway wants to be left alone first.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { DurationSchema, type Duration } from "@bufbuild/protobuf/wkt";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { isFinal, VerigateError, type VerigateCode } from "./errors.js";

/** The longest pause that anybody may ask for. */
const LONGEST_LEAST_MS = 300_000;

/** Thrown by our fetch where an answer has no body that could be read bit by bit. */
export class CannotStream extends Error {
  override readonly name = "CannotStream";
}

/** Failure is one failed call. */
export interface Failure {
  readonly error: VerigateError;
  /** No other try can heal it. */
  readonly final: boolean;
  /** The pause before the next try lasts at least so long, in milliseconds. */
  readonly leastMs: number;
  /** The runtime's fetch cannot stream. */
  readonly cannotStream: boolean;
}

/** Says what a failed call means. */
export function judge(thrown: unknown): Failure {
  const cannotStream = thrown instanceof ConnectError && thrown.cause instanceof CannotStream;
  const error = toVerigateError(thrown);
  return {
    error,
    final: isFinal(error.code),
    leastMs: thrown instanceof ConnectError ? Math.min(LONGEST_LEAST_MS, askedPause(thrown)) : 0,
    cannotStream,
  };
}

/** Milliseconds of a google.protobuf.Duration; 0 without one. */
export function durationMs(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Math.max(0, Number(duration.seconds) * 1000 + duration.nanos / 1e6);
}

function toVerigateError(thrown: unknown): VerigateError {
  if (thrown instanceof VerigateError) {
    return thrown;
  }
  if (!(thrown instanceof ConnectError)) {
    return new VerigateError("unavailable", "no answer from the gateway", thrown);
  }
  if (thrown.cause instanceof VerigateError) {
    return thrown.cause;
  }
  if (wasAnswered(thrown)) {
    return new VerigateError(codeToString(thrown.code) as VerigateCode, thrown.rawMessage);
  }
  if (thrown.code === Code.DeadlineExceeded) {
    return new VerigateError("deadline_exceeded", "the gateway did not answer in time");
  }
  return new VerigateError("unavailable", "no complete answer from the gateway", thrown);
}

// An error that came over the line carries the headers of its answer. One that
// was made here has none, whatever its code: connect-es calls a torn message
// "invalid_argument", and that is no verdict of the gateway.
function wasAnswered(error: ConnectError): boolean {
  let answered = false;
  error.metadata.forEach(() => {
    answered = true;
  });
  return answered;
}

// Retry-After in seconds (RFC 9110, section 10.2.3; dates are left alone, a
// client's clock may be wrong) or a google.rpc.RetryInfo detail, whichever is
// longer.
function askedPause(error: ConnectError): number {
  const seconds = error.metadata.get("retry-after")?.trim() ?? "";
  let ms = /^\d+$/.test(seconds) ? Number(seconds) * 1000 : 0;
  for (const detail of error.details) {
    if ("type" in detail && detail.type === "google.rpc.RetryInfo") {
      ms = Math.max(ms, retryDelay(detail.value));
    }
  }
  return ms;
}

// Reads google.rpc.RetryInfo (google/rpc/error_details.proto), whose field 1 is
// the delay. Its descriptor would cost more than these lines.
function retryDelay(bytes: Uint8Array): number {
  try {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [field, wire] = reader.tag();
      if (field === 1 && wire === WireType.LengthDelimited) {
        return durationMs(fromBinary(DurationSchema, reader.bytes()));
      }
      reader.skip(wire, field);
    }
  } catch {
    // A detail that cannot be read asks for nothing.
  }
  return 0;
}
