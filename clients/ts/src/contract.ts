/**
 * `@verigate/client/contract`: every generated message and service descriptor,
 * for backends that read events and callbacks or use a transport of their own.
 */
export * from "../../../gen/ts/verigate/v1/event_pb.js";
export * from "../../../gen/ts/verigate/v1/event_service_pb.js";
export * from "../../../gen/ts/verigate/v1/operator_service_pb.js";
export * from "../../../gen/ts/verigate/v1/verification_pb.js";
export * from "../../../gen/ts/verigate/v1/verification_service_pb.js";
