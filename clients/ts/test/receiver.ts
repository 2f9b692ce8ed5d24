import type { IncomingMessage, ServerResponse } from "node:http";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import { EventSchema, type Event } from "../../../gen/ts/verigate/v1/event_pb.js";

// Verifies each callback with the secret, whsec_ and base64, and hands its event
// on. When handle fails, the gateway sends the callback again.
export function receiver(secret: string, handle: (event: Event) => Promise<void>) {
  const verifier = new Webhook(secret);
  return async (request: IncomingMessage, response: ServerResponse) => {
    try {
      // The signature is over the bytes as they arrived: read before you parse.
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const json = verifier.verify(Buffer.concat(chunks), request.headers as Record<string, string>);
      // A newer gateway may know more fields.
      await handle(fromJson(EventSchema, json as JsonValue, { ignoreUnknownFields: true }));
      response.writeHead(204).end();
    } catch (error) {
      response.writeHead(error instanceof WebhookVerificationError ? 401 : 500).end();
    }
  };
}
