/** The published package, used by programs; clients/scenarios.md names the scenario. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { requested } from "../support/faultproxy.js";
import { Installed } from "../support/package.js";
import { GatewayProcess } from "../support/process.js";
import { Program } from "../support/program.js";
import { Scene, scenario } from "../support/scene.js";

let example: string;
let readme: string;
let installed: Installed;
let programs: Record<"tenLines" | "exports" | "leaves", string>;

// A compiler on a busy machine takes its time.
const compilingMs = 300_000;

beforeAll(async () => {
  const read = (path: string) => readFile(join(import.meta.dirname, "../..", path), "utf8");
  example = await read("examples/ten_lines.ts");
  readme = await read("README.md");
  installed = await Installed.build();
  programs = await installed.compile({
    tenLines: example,
    exports: await read("test/programs/exports.ts"),
    leaves: await read("test/programs/leaves.ts"),
  });
}, compilingMs);

afterAll(() => installed?.remove());

scenario("the ten-line program survives a server restart and prints the one right result", async () => {
  const lines = example.split("\n").filter((line) => line !== "" && !line.startsWith("//"));
  expect(lines.length).toBeLessThanOrEqual(10);
  // What the README shows is what runs here.
  expect(readme).toContain(example.slice(example.indexOf("import")).trimEnd());

  const gateway = await GatewayProcess.start();
  const scene = await Scene.open(gateway);
  const program = new Program(programs.tenLines, {
    VERIGATE_URL: scene.proxy.url,
    VERIGATE_API_KEY: gateway.apiKey,
  });
  try {
    await program.says(/^Open http/m);
    const { calls } = await scene.streams({ begun: 1, messages: 1 });
    await gateway.restart();
    await scene.approve(requested(calls[0]!).id);
    const { code, stdout } = await program.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "pass\n" });
    expect((await scene.streams()).begun).toBeGreaterThan(1);
  } finally {
    await program.kill();
    await scene.close();
    await gateway.stop();
  }
});

test("every export of the package can be used, with its types", async () => {
  expect(await new Program(programs.exports, {}).ended).toEqual({
    code: 0,
    stdout:
      "start,get,watch,pause,resume\ntrue\n4,2,5\n" +
      "verigate.v1.Event,verigate.v1.EventService,verigate.v1.OperatorService,verigate.v1.VerificationService\n",
    stderr: "",
  });
});

test("a program ends by itself after its watch ended, however it ended", async () => {
  const running = new Program(programs.leaves, { VERIGATE_URL: inject("url"), VERIGATE_API_KEY: inject("apiKey") });
  expect(await running.ended).toEqual({
    code: 0,
    stdout: "left at 2n\naborted at 2n\nenough\nstill nobody\ninvalid_argument\n",
    stderr: "",
  });
});
