/**
 * What the client weighs in an app: built, minified and compressed like an app
 * is, and measured.
 */
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Rollup } from "vite";
import { expect, test } from "vitest";

/** The most that a page which only watches may load, in bytes of gzip. */
const most = 40 * 1024;

const source = join(import.meta.dirname, "../src");

test("a page that only watches loads at most 40 KiB", async () => {
  const { code, modules } = await bundle("watcher.ts");
  const size = gzipSync(code).length;
  console.info(`the client in a page: ${size} bytes of gzip, ${code.length} before`);
  expect(size).toBeLessThanOrEqual(most);

  expect(modules.some((module) => module.endsWith("/verification_service_pb.ts"))).toBe(true);
  expect(modules.filter((module) => /operator_service|event_service|event_pb|protovalidate|buf\/validate/.test(module))).toEqual([]);
  expect(modules.filter((module) => module.includes("/react"))).toEqual([]);
  const readable = code + descriptors(code);
  expect(readable).toContain("VerificationService");
  for (const foreign of ["OperatorService", "EventService", "buf.validate", "buf/validate"]) {
    expect(readable).not.toContain(foreign);
  }
});

test("the hook adds little to it", async () => {
  const { code } = await bundle("component.ts", ["react", "react-dom/client"]);
  const size = gzipSync(code).length;
  console.info(`the client with the hook in a page: ${size} bytes of gzip, ${code.length} before, React not counted`);
  expect(size).toBeLessThanOrEqual(most);
});

interface Bundle {
  code: string;
  /** The modules of which something is left. */
  modules: string[];
}

async function bundle(page: string, external: string[] = []): Promise<Bundle> {
  const built = (await build({
    configFile: false,
    logLevel: "warn",
    resolve: {
      alias: [
        { find: "@verigate/client/react", replacement: join(source, "react.ts") },
        { find: "@verigate/client", replacement: join(source, "index.ts") },
      ],
    },
    build: {
      write: false,
      minify: true,
      modulePreload: false,
      target: "es2022",
      rolldownOptions: { input: join(import.meta.dirname, "bundle", page), external },
    },
  })) as Rollup.RollupOutput;
  const chunks = built.output.filter((file) => file.type === "chunk");
  return {
    code: chunks.map((chunk) => chunk.code).join("\n"),
    modules: chunks.flatMap((chunk) =>
      Object.entries(chunk.modules)
        .filter(([, { renderedLength }]) => renderedLength > 0)
        .map(([id]) => id),
    ),
  };
}

/** The text of the descriptors that generated code carries in base64. */
function descriptors(code: string): string {
  return (code.match(/[A-Za-z0-9+/]{40,}/g) ?? []).map((text) => Buffer.from(text, "base64").toString("latin1")).join("\n");
}
