/**
 * The fault proxy as the tests use it: one process a test, so that each
 * has an origin, connections and counts of its own.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fromJsonString } from "@bufbuild/protobuf";
import { WatchStatusRequestSchema, type WatchStatusRequest } from "../../../../gen/ts/verigate/v1/verification_service_pb.js";

/** One rule; see the package clients/faultproxy/fault. */
export interface Rule {
  procedure: string;
  fault: string;
  after?: number;
  times?: number;
  status?: number;
  body?: string;
  code?: string;
  message?: string;
  retry_after?: string;
}

/** One call that reached the proxy. */
export interface Call {
  procedure: string;
  http: string;
  began_ms: number;
  ended_ms: number | null;
  messages: number;
  /** The first 4 KB of the request's body in base64. */
  request: string;
  authorization: string;
}

export interface Calls {
  begun: number;
  open: number;
  calls: Call[];
}

/** A wait for so many calls begun, open, or messages of the newest one. */
export interface Wait {
  begun?: number;
  open?: number;
  messages?: number;
}

export class FaultProxy {
  private constructor(
    private readonly process: ChildProcess,
    readonly url: string,
    private readonly control: string,
  ) {}

  static async start(upstream: string, ...flags: string[]): Promise<FaultProxy> {
    const binary = binaryPath("FAULTPROXY_BINARY", ".tmp/faultproxy");
    // Its standard input stays open: the proxy ends when this process does.
    const started = spawn(binary, ["--upstream", upstream, ...flags], { stdio: ["pipe", "pipe", "inherit"] });
    const { url, control } = await firstLine(started);
    return new FaultProxy(started, url, control);
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGTERM");
    await gone;
  }

  /** Replaces all rules; none clears them. */
  async rules(...rules: Rule[]): Promise<void> {
    await this.ask("PUT", "/faults", rules);
  }

  /** Hits every open call of a procedure and tells how many there were. */
  async now(procedure: string, fault: string): Promise<number> {
    return ((await this.ask("POST", "/now", { procedure, fault })) as { hit: number }).hit;
  }

  /** The calls of a procedure, once they are as waited for. */
  async calls(procedure: string, wait: Wait = {}): Promise<Calls> {
    const query = new URLSearchParams({ procedure });
    for (const [name, value] of Object.entries(wait)) {
      query.set(name, String(value));
    }
    return (await this.ask("GET", `/calls?${query}`)) as Calls;
  }

  private async ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await fetch(this.control + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) {
      // Its answer has the calls' tokens in it, when the wait was in vain.
      const counts = /^\{"begun":\d+,"open":\d+/.exec(text)?.[0] ?? text;
      throw new Error(`the fault proxy answered ${answer.status} to ${method} ${path}: ${counts}`);
    }
    return text === "" ? undefined : JSON.parse(text);
  }
}

/** What a stream's call asked for. */
export function requested(call: Call): WatchStatusRequest {
  // Five bytes of envelope come first (Connect protocol, enveloped message).
  const message = Buffer.from(call.request, "base64").subarray(5);
  return fromJsonString(WatchStatusRequestSchema, message.toString());
}

/** The path of a binary that `make build` makes, or that the environment names. */
export function binaryPath(variable: string, path: string): string {
  const binary = process.env[variable] ?? join(import.meta.dirname, "../../../..", path);
  if (!existsSync(binary)) {
    throw new Error(`missing ${binary}: run \`make build\``);
  }
  return binary;
}

function firstLine(proxy: ChildProcess): Promise<{ url: string; control: string }> {
  return new Promise((resolve, reject) => {
    let printed = "";
    proxy.stdout?.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
      if (printed.includes("\n")) {
        resolve(JSON.parse(printed) as { url: string; control: string });
      }
    });
    proxy.once("error", reject);
    proxy.once("exit", (code) => reject(new Error(`the fault proxy ended with ${code}: ${printed}`)));
  });
}
