import { createClient, type Client, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport as webTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { createConnectTransport as nodeTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { VerificationService } from "../../../gen/ts/verigate/v1/verification_service_pb.js";

export type Verifications = Client<typeof VerificationService>;

// Every way in which a TypeScript program may reach the gateway.
export const transports: Record<string, (baseUrl: string, interceptors: Interceptor[]) => Transport> = {
  "Connect in a browser, JSON": (baseUrl, interceptors) =>
    webTransport({ baseUrl, interceptors, useBinaryFormat: false }),
  "Connect in a browser, binary": (baseUrl, interceptors) =>
    webTransport({ baseUrl, interceptors, useBinaryFormat: true, useHttpGet: true }),
  "gRPC-Web in a browser": (baseUrl, interceptors) => createGrpcWebTransport({ baseUrl, interceptors }),
  "Connect on Node over HTTP/2": (baseUrl, interceptors) =>
    nodeTransport({ baseUrl, interceptors, httpVersion: "2" }),
  "gRPC on Node": (baseUrl, interceptors) => createGrpcTransport({ baseUrl, interceptors }),
};

export function client(
  transport: (baseUrl: string, interceptors: Interceptor[]) => Transport,
  baseUrl: string,
  credential: string,
): Verifications {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("Authorization", `Bearer ${credential}`);
    return next(request);
  };
  return createClient(VerificationService, transport(baseUrl, [authorize]));
}

// Plays the person in front of the sandbox's hosted page, like the page's own
// script and then the browser do.
export async function complete(hostedUrl: string, outcome: string): Promise<void> {
  const answer = await fetch(hostedUrl.replace("/hosted/v/", "/hosted/complete/"), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ outcome }),
  });
  if (!answer.ok) {
    throw new Error(`the sandbox answered ${answer.status}: ${await answer.text()}`);
  }
  const { redirect_url: leg } = (await answer.json()) as { redirect_url?: string };
  if (leg !== undefined && leg !== "") {
    await fetch(leg, { redirect: "manual" });
  }
}
