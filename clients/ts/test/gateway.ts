// Starts the real gateway once for all tests: the compiled binary, with its own
// Postgres and sandbox, on a free port.
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    url: string;
    apiKey: string;
    // What the gateway signs callbacks with.
    callbackSecret: string;
  }
}

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const binary = process.env["VERIGATE_BINARY"] ?? join(root, ".tmp/verigate");
  if (!existsSync(binary)) {
    throw new Error(`missing ${binary}: run \`make build\``);
  }
  const dataDir = await mkdtemp(join(tmpdir(), "verigate-ts-"));
  const gateway = spawn(binary, ["dev", "--ephemeral", "--listen", "127.0.0.1:0", "--data-dir", dataDir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await ready(gateway);
  const env = parseEnv(await readFile(join(dataDir, "dev.env"), "utf8"));
  project.provide("url", env["VERIGATE_URL"] ?? "");
  project.provide("apiKey", env["VERIGATE_API_KEY"] ?? "");
  project.provide("callbackSecret", env["VERIGATE_CALLBACK_SECRET"] ?? "");
  return async () => {
    const ended = new Promise((resolve) => gateway.once("exit", resolve));
    gateway.kill("SIGTERM");
    await ended;
    await rm(dataDir, { recursive: true, force: true });
  };
}

function ready(gateway: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let printed = "";
    gateway.stdout?.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
      if (printed.includes("Stop with ctrl-C")) {
        resolve();
      }
    });
    gateway.once("exit", (code) => reject(new Error(`the gateway ended with ${code}: ${printed}`)));
  });
}

function parseEnv(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split("\n")
      .filter((line) => line.includes("="))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}
