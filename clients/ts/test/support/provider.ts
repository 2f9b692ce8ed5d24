/**
 * What AiPrise would say. Its emulator is part of the gateway's process and
 * forgets its sessions when that is restarted; a real provider does not.
 */
import { createHmac } from "node:crypto";
import { createVerigate } from "../../src/index.js";
import type { Gateway } from "./verification.js";

/** Sends the signed webhook that approves an open verification. */
export async function approve({ url, apiKey }: Gateway, id: string): Promise<void> {
  const { hostedUrl } = await createVerigate({ baseUrl: url, token: apiKey }).get(id);
  const body = JSON.stringify({
    verification_session_id: new URL(hostedUrl).searchParams.get("verification_session_id"),
    client_reference_id: id,
    status: "COMPLETED",
    aiprise_summary: { verification_result: "APPROVED" },
  });
  const signature = createHmac("sha256", "sandbox-aiprise-key").update(body).digest("hex");
  const answer = await fetch(`${url}/webhooks/aiprise-sandbox`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-HMAC-SIGNATURE": signature },
    body,
  });
  if (!answer.ok) {
    throw new Error(`the gateway answered ${answer.status} to the webhook: ${await answer.text()}`);
  }
}
