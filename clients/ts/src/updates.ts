/** Turns what a stream or a poll brought into the update that a watch yields. */
import { create } from "@bufbuild/protobuf";
import {
  StatusUpdateKind,
  StatusUpdateSchema,
  VerificationResult,
  type StatusUpdate,
  type Verification,
} from "../../../gen/ts/verigate/v1/verification_pb.js";
import type { GetVerificationResponse } from "../../../gen/ts/verigate/v1/verification_service_pb.js";
import { VerigateError } from "./errors.js";

/** The next message of a stream. One that ends well has said nothing: only a terminal message ends a watch. */
export function messageOf(read: IteratorResult<StatusUpdate>): StatusUpdate {
  if (read.done === true) {
    throw new VerigateError("unavailable", "the stream ended without a result");
  }
  return read.value;
}

/** The verification of an answer. */
export function verificationOf({ verification }: Pick<GetVerificationResponse, "verification">): Verification {
  if (verification === undefined) {
    throw new VerigateError("unavailable", "the gateway's answer has no verification");
  }
  return verification;
}

/** What a stream would have said of the verification: first a snapshot, then updates. */
export function updateOf(verification: Verification, first: boolean): StatusUpdate {
  const { id, state, result, version, reasonCodes, updateTime } = verification;
  return create(StatusUpdateSchema, {
    kind: first ? StatusUpdateKind.SNAPSHOT : StatusUpdateKind.UPDATE,
    verificationId: id,
    state,
    result,
    version,
    reasonCodes,
    ...(updateTime && { updateTime }),
    terminal: result === VerificationResult.PASS || result === VerificationResult.FAIL,
  });
}
