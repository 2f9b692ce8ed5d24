// The whole job in ten lines: start, send the person to the page, wait for the
// result. It needs VERIGATE_URL and VERIGATE_API_KEY, as in dev.env.
import { createVerigate, VerificationResult } from "@verigate/client";

const { VERIGATE_URL: baseUrl = "", VERIGATE_API_KEY: token = "" } = process.env;
const verigate = createVerigate({ baseUrl, token });
const { verification, hostedUrl } = await verigate.start({ flow: "kyc", subject: "user-1" });
console.error(`Open ${hostedUrl}`);
let result = VerificationResult.PENDING;
for await (const update of verigate.watch(verification.id)) {
  result = update.result;
}
console.log(VerificationResult[result].toLowerCase());
