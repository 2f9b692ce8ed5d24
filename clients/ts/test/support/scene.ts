/**
 * What a scenario needs: the shared gateway, a fault proxy of its own before it,
 * clients that go through the proxy, and persons. Everything is closed after the
 * test.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { inject, test } from "vitest";
import { createVerigate, type Verigate, type VerigateOptions, type WatchOptions } from "../../src/index.js";
import type { Seams } from "../../src/seams.js";
import { binaryPath, FaultProxy, type Call, type Calls, type Rule, type Wait } from "./faultproxy.js";
import { startVerification, type Gateway } from "./verification.js";
import { heartbeatMs } from "./process.js";
import { approve } from "./provider.js";
import { Watching } from "./watching.js";

/** Every field of a rule; see the package clients/faultproxy/fault. */
export interface FullRule extends Rule {
  status?: number;
  body?: string;
  code?: string;
  message?: string;
  retry_after?: string;
}

/** What the proxy tells of calls. */
export type SeenCalls = Omit<Calls, "calls"> & { readonly calls: (Call & { readonly authorization: string })[] };

/** A client's options and the seams of its watches. */
export type Setting = Partial<VerigateOptions> & { seams?: Partial<Seams> };

/** No jitter: failed tries are repeated at once, or exactly when they may be. */
export const noJitter: Partial<Seams> = { random: () => 0 };

/** The longest jitter: pauses are what they can be at most. */
export const fullJitter: Partial<Seams> = { random: () => 1 };

/** Scene is one test's. */
export class Scene {
  readonly #watchings: Watching[] = [];

  private constructor(
    readonly gateway: Gateway,
    readonly proxy: FaultProxy,
  ) {}

  static async open(gateway: Gateway): Promise<Scene> {
    return new Scene(gateway, await FaultProxy.start(gateway.url));
  }

  async close(): Promise<void> {
    await Promise.all(this.#watchings.map((watching) => watching.stop()));
    await this.proxy.stop();
  }

  /** A client that goes through the proxy; the test's gateway beats as it expects. */
  client({ seams = noJitter, ...options }: Setting = {}): Verigate {
    return createVerigate({ baseUrl: this.proxy.url, token: this.gateway.apiKey, heartbeatMs, ...options }, seams);
  }

  /** Consumes a watch in the background until the test is over. */
  watch(id: string, options: Omit<WatchOptions, "signal" | "onLine"> = {}, client = this.client()): Watching {
    const watching = new Watching(client, id, options);
    this.#watchings.push(watching);
    return watching;
  }

  /** Starts a verification, not through the proxy. */
  start(): Promise<string> {
    return startVerification(this.gateway);
  }

  /** The person completes the hosted page. */
  complete(id: string, outcome: "pass" | "fail" | "review"): Promise<void> {
    return this.#sandbox("complete", id, "--outcome", outcome);
  }

  /** A reviewer at the provider decides. */
  decide(id: string, result: "approved" | "declined"): Promise<void> {
    return this.#sandbox("case", id, "--result", result, ...(result === "declined" ? ["--reason", "FAKE_ID"] : []));
  }

  /** The provider approves; see approve. */
  approve(id: string): Promise<void> {
    return approve(this.gateway, id);
  }

  /** Replaces the proxy's rules. */
  faults(...rules: FullRule[]): Promise<void> {
    return this.proxy.rules(...rules);
  }

  /** The streams that the proxy saw, once they are as waited for. */
  streams(wait: Wait = {}): Promise<SeenCalls> {
    return this.#calls("WatchStatus", wait);
  }

  /** The polls that the proxy saw, once they are as waited for. */
  polls(wait: Wait = {}): Promise<SeenCalls> {
    return this.#calls("GetVerification", wait);
  }

  async #calls(procedure: string, wait: Wait): Promise<SeenCalls> {
    return (await this.proxy.calls(procedure, wait)) as SeenCalls;
  }

  async #sandbox(...args: string[]): Promise<void> {
    const env = { ...process.env, VERIGATE_URL: this.gateway.url, VERIGATE_API_KEY: this.gateway.apiKey };
    await promisify(execFile)(binaryPath("VERIGATE_BINARY", ".tmp/verigate"), ["sandbox", ...args], { env });
  }
}

/** A test with a scene before the gateway that all tests share. */
export const scenario = test.extend<{ scene: Scene }>({
  scene: async ({}, use) => {
    const scene = await Scene.open({ url: inject("url"), apiKey: inject("apiKey") });
    await use(scene);
    await scene.close();
  },
});
