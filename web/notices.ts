/**
 * Completes dist/licenses.md. Vite lists the packages of the bundle with the
 * licence files that they carry; the Apache-2.0 ones carry none, only notices at
 * the head of each source file, which a bundle loses.
 *
 *     modules of the bundle ─► the comments that they begin with ─┐
 *     LICENSE of this repository (Apache-2.0) ───────────────────┴─► licenses.md
 */
import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

/** Adds the notices of source files, and a licence's text, to the file that Vite makes. */
export function notices({ fileName, apache }: { readonly fileName: string; readonly apache: string }): Plugin {
  return {
    name: "verigate-notices",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const listed = bundle[fileName];
        if (listed?.type !== "asset") {
          throw new Error(`${fileName} was not made: build.license must name it`);
        }
        const modules = Object.values(bundle).flatMap((part) => (part.type === "chunk" ? part.moduleIds : []));
        const heads = new Set(modules.filter((id) => id.includes("/node_modules/")).map(noticeOf));
        const parts = [...heads].filter((head) => head !== "").sort();
        listed.source = [
          String(listed.source).trimEnd(),
          "## Notices at the head of their source files",
          ...parts.map((part) => `\`\`\`\n${part}\n\`\`\``),
          "## Apache License, Version 2.0",
          `\`\`\`\n${readFileSync(apache, "utf8").trimEnd()}\n\`\`\``,
          "",
        ].join("\n\n");
      },
    },
  };
}

/** The copyright notice with which a module begins; empty without one. */
function noticeOf(id: string): string {
  const lines = readFileSync(id.replace(/^\0|\?.*$/g, ""), "utf8").split("\n");
  const end = lines.findIndex((line) => !line.startsWith("//"));
  const head = lines
    .slice(0, end)
    .map((line) => line.replace(/^\/\/ ?/, ""))
    .join("\n");
  return head.includes("Copyright") ? head : "";
}
