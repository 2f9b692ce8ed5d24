// Uses every export of the package, and has its types checked against the
// published declarations; ten_lines.test.ts compiles and runs it.
import { createVerigate, StatusUpdateKind, VerificationResult, VerificationState, VerigateError } from "@verigate/client";
import type { Line, StartVerificationResponse, StatusUpdate, Verification, Verigate } from "@verigate/client";
import { useWatch } from "@verigate/client/react";
import { EventSchema, EventService, OperatorService, VerificationService } from "@verigate/client/contract";

export type Used = [Line, StartVerificationResponse, StatusUpdate, Verification];

const client: Verigate = createVerigate({ baseUrl: "http://127.0.0.1:1", token: () => "t" });
// @ts-expect-error the seams of the tests are not public
createVerigate({ baseUrl: "http://127.0.0.1:1", token: "t" }, {});

console.log(Object.keys(client).join());
console.log([createVerigate, useWatch, VerigateError].every((f) => typeof f === "function"));
console.log([StatusUpdateKind.DRAIN, VerificationResult.PASS, VerificationState.APPROVED].join());
console.log([EventSchema, EventService, OperatorService, VerificationService].map((d) => d.typeName).join());
