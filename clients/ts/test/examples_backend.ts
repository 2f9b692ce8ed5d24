/**
 * The example backend on the real gateway, for the tests of the example apps:
 * one user per test, who is logged in.
 */
import { execFile } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { afterEach, beforeEach, inject, vi } from "vitest";
import { createVerigate } from "@verigate/client";
import { backend } from "../examples/backend.js";
import { binaryPath } from "./support/faultproxy.js";

/** The gateway itself. */
export const gateway = { url: inject("url"), apiKey: inject("apiKey") };

/** For waits: a busy machine is slow. */
export const patience = { timeout: 30_000 };

/** The fetch of the runtime, which is not the app's. */
export const realFetch = globalThis.fetch;

/** What a test has. */
export interface Site {
  /** Where the backend is. */
  address: string;
  /** Who is logged in. */
  user: string;
}

/** Serves a backend for each test, under the app's own origin. */
export function useSite(): Site {
  const site: Site = { address: "", user: "" };
  let server: Server;

  beforeEach(async ({ task }) => {
    site.user = `user of ${task.id}`;
    server = createServer();
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    site.address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const serve = backend({
      verigate: createVerigate({ baseUrl: gateway.url, token: gateway.apiKey }),
      flow: "kyc",
      redirects: { web: "http://localhost:5173/verified", mobile: "myapp://verify-complete" },
      callbackUrl: `${site.address}/verigate/callbacks`,
      callbackSecret: inject("callbackSecret"),
      user: (request) => request.headers["x-demo-user"]?.toString(),
    });
    server.on("request", (request, response) => void serve(request, response));
    vi.stubGlobal("fetch", (url: string, init?: RequestInit) =>
      url.startsWith("/") ? realFetch(site.address + url, asUser(site, init)) : realFetch(url, init),
    );
  });

  afterEach(async () => {
    vi.unstubAllGlobals();
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });

  return site;
}

function asUser({ user }: Site, init: RequestInit = {}): RequestInit {
  return { ...init, headers: { ...(init.headers as Record<string, string>), "X-Demo-User": user } };
}

/** What the backend says that the user may do. */
export async function verified(site: Site): Promise<boolean> {
  const answer = await realFetch(`${site.address}/me`, asUser(site));
  return ((await answer.json()) as { verified: boolean }).verified;
}

/** Plays the person on the hosted page, and afterwards the reviewer. */
export async function sandbox(...command: string[]): Promise<void> {
  await promisify(execFile)(binaryPath("VERIGATE_BINARY", ".tmp/verigate"), ["sandbox", ...command], {
    env: { ...process.env, VERIGATE_URL: gateway.url, VERIGATE_API_KEY: gateway.apiKey },
  });
}
