/**
 * `@verigate/client`: start a verification and watch what becomes of it, from
 * browsers, Node and React Native.
 *
 *     const verigate = createVerigate({ baseUrl, token });
 *     for await (const update of verigate.watch(id)) show(update);
 *
 * The generated messages and services are in `@verigate/client/contract`, the
 * hook in `@verigate/client/react`.
 */
export { createVerigate } from "./client.js";
export type { CallOptions, StartInit, Started, Verigate } from "./client.js";
export { VerigateError } from "./errors.js";
export type { VerigateCode } from "./errors.js";
export type { Line } from "./line.js";
export type { Token, VerigateOptions } from "./options.js";
export type { WatchOptions } from "./terms.js";
export {
  StatusUpdateKind,
  VerificationMatch,
  VerificationResult,
  VerificationState,
} from "../../../gen/ts/verigate/v1/verification_pb.js";
export type { StatusUpdate, Verification } from "../../../gen/ts/verigate/v1/verification_pb.js";
export type { StartVerificationResponse } from "../../../gen/ts/verigate/v1/verification_service_pb.js";
