/** Verifications that the tests watch, and the person who goes through them. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createVerigate } from "../../src/index.js";
import { binaryPath } from "./faultproxy.js";

/** The gateway itself, not the proxy before it. */
export interface Gateway {
  url: string;
  apiKey: string;
}

/** Starts a verification and tells its id. */
export async function startVerification({ url, apiKey }: Gateway): Promise<string> {
  const started = await createVerigate({ baseUrl: url, token: apiKey }).start({ flow: "kyc", subject: "somebody" });
  if (started.verification === undefined) {
    throw new Error("the gateway started no verification");
  }
  return started.verification.id;
}

/** Plays the person, who passes. */
export async function pass({ url, apiKey }: Gateway, id: string): Promise<void> {
  const binary = binaryPath("VERIGATE_BINARY", ".tmp/verigate");
  await promisify(execFile)(binary, ["sandbox", "complete", id, "--outcome", "pass"], {
    env: { ...process.env, VERIGATE_URL: url, VERIGATE_API_KEY: apiKey },
  });
}
