/** What errors of calls mean: which are the gateway's, and how long it wants to be left alone. */
import { create, toBinary } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { judge } from "../src/failure.js";

test("a torn message is no verdict of the gateway, whatever code connect-es gives it", () => {
  const torn = new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
  expect(judge(torn)).toMatchObject({ final: false, error: { code: "unavailable" } });
  const said = new ConnectError("bad id", Code.InvalidArgument, { "content-type": "application/json" });
  expect(judge(said)).toMatchObject({ final: true, error: { code: "invalid_argument", message: "bad id" } });
});

test.each([
  ["2", 2000],
  [" 2 ", 2000],
  ["0", 0],
  ["999999", 300_000],
  ["-1", 0],
  ["1.5", 0],
  ["Wed, 21 Oct 2026 07:28:00 GMT", 0],
])("Retry-After %j is a least pause of %d ms", (value, leastMs) => {
  expect(judge(new ConnectError("busy", Code.Unavailable, { "retry-after": value })).leastMs).toBe(leastMs);
});

test("a RetryInfo detail is a least pause, and the longer of two counts", () => {
  const error = new ConnectError("busy", Code.ResourceExhausted, { "retry-after": "1" });
  error.details.push({ type: "google.rpc.RetryInfo", value: retryInfo(1n, 500_000_000) });
  expect(judge(error).leastMs).toBe(1500);
  error.metadata.set("retry-after", "3");
  expect(judge(error).leastMs).toBe(3000);
});

test("a RetryInfo detail that cannot be read asks for nothing", () => {
  const error = new ConnectError("busy", Code.ResourceExhausted, { "content-type": "application/json" });
  error.details.push({ type: "google.rpc.RetryInfo", value: new Uint8Array([10, 200]) });
  expect(judge(error)).toMatchObject({ leastMs: 0, final: false, error: { code: "resource_exhausted" } });
});

// google.rpc.RetryInfo with a field before the delay that a newer one may have.
function retryInfo(seconds: bigint, nanos: number): Uint8Array {
  return new BinaryWriter()
    .tag(2, WireType.Varint)
    .uint32(7)
    .tag(1, WireType.LengthDelimited)
    .bytes(toBinary(DurationSchema, create(DurationSchema, { seconds, nanos })))
    .finish();
}
