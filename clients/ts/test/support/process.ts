/**
 * A gateway as a process of its own: the compiled binary with its own Postgres
 * and sandbox.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binaryPath } from "./faultproxy.js";
import type { Gateway } from "./verification.js";

/** How often the gateways of the tests beat, in milliseconds. */
export const heartbeatMs = 500;

/** GatewayProcess runs one gateway; its data outlive a restart. */
export class GatewayProcess implements Gateway {
  private constructor(
    private process: ChildProcess,
    private readonly dataDir: string,
    private readonly flags: string[],
    readonly url: string,
    readonly apiKey: string,
    readonly callbackSecret: string,
  ) {}

  static async start(...flags: string[]): Promise<GatewayProcess> {
    const dataDir = await mkdtemp(join(tmpdir(), "verigate-ts-"));
    // For root the database runs as another user, who has to get in there.
    await chmod(dataDir, 0o711);
    const process = run(dataDir, ["--listen", "127.0.0.1:0", ...flags]);
    const url = await ready(process);
    const env = await readFile(join(dataDir, "dev.env"), "utf8");
    const value = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(env)?.[1] ?? "";
    return new GatewayProcess(process, dataDir, flags, url, value("VERIGATE_API_KEY"), value("VERIGATE_CALLBACK_SECRET"));
  }

  /** What a deploy does: asks it to end, waits, and starts it again in the same place. */
  async restart(): Promise<void> {
    await this.end();
    this.process = run(this.dataDir, ["--listen", new URL(this.url).host, ...this.flags]);
    await ready(this.process);
  }

  async stop(): Promise<void> {
    await this.end();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  private async end(): Promise<void> {
    const gone = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGTERM");
    await gone;
  }
}

function run(dataDir: string, flags: string[]): ChildProcess {
  const binary = binaryPath("VERIGATE_BINARY", ".tmp/verigate");
  const always = ["dev", "--json", "--data-dir", dataDir, "--heartbeat", `${heartbeatMs}ms`];
  return spawn(binary, [...always, ...flags], { stdio: ["ignore", "pipe", "inherit"] });
}

function ready(gateway: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = "";
    gateway.stdout?.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
      if (printed.includes("\n")) {
        resolve((JSON.parse(printed) as { url: string }).url);
      }
    });
    gateway.once("error", reject);
    gateway.once("exit", (code) => reject(new Error(`the gateway ended with ${code}: ${printed}`)));
  });
}
