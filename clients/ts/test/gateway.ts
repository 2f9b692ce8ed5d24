// Starts the real gateway once for all tests.
import type { TestProject } from "vitest/node";
import { GatewayProcess } from "./support/process.js";

declare module "vitest" {
  interface ProvidedContext {
    url: string;
    apiKey: string;
    // What the gateway signs callbacks with.
    callbackSecret: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const gateway = await GatewayProcess.start("--ephemeral");
  project.provide("url", gateway.url);
  project.provide("apiKey", gateway.apiKey);
  project.provide("callbackSecret", gateway.callbackSecret);
  return () => gateway.stop();
}
