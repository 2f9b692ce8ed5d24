/**
 * What all browser tests share: one real gateway with short heartbeats, and the
 * page, bundled once from page/entry.ts.
 */
import { join } from "node:path";
import { build, type Rollup } from "vite";
import type { TestProject } from "vitest/node";
import { GatewayProcess } from "../support/process.js";
import type { Gateway } from "../support/verification.js";

/** What setup hands to the tests. */
export interface Shared {
  gateway: Gateway;
  script: string;
}

declare module "vitest" {
  interface ProvidedContext {
    shared: Shared;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const script = await bundle();
  const gateway = await GatewayProcess.start("--ephemeral");
  project.provide("shared", { gateway: { url: gateway.url, apiKey: gateway.apiKey }, script });
  return () => gateway.stop();
}

async function bundle(): Promise<string> {
  const built = (await build({
    configFile: false,
    logLevel: "warn",
    build: {
      write: false,
      lib: { entry: join(import.meta.dirname, "page/entry.ts"), formats: ["iife"], name: "page" },
    },
  })) as Rollup.RollupOutput[];
  const script = built[0]?.output[0];
  if (script === undefined) {
    throw new Error("vite built no script from page/entry.ts");
  }
  return script.code;
}
