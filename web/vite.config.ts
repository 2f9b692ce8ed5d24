/**
 * Builds the demo page into dist, which is committed and embedded in the
 * gateway. The same sources make the same bytes: no hashes in the names, no
 * dates, no source maps.
 *
 *     index.html ─┐
 *     src/**  ────┼─► dist/index.html, dist/assets/*, dist/licenses.md
 *     clients/ts ─┘
 */
import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { notices } from "./notices.js";

const licences = "licenses.md";
const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export default defineConfig({
  root: path("."),
  base: "/demo/",
  publicDir: false,
  plugins: [react(), notices({ fileName: licences, apache: path("../LICENSE") })],
  resolve: {
    // The client's own sources, so that it need not be built first.
    alias: [
      { find: /^@verigate\/client\/react$/, replacement: path("../clients/ts/src/react.ts") },
      { find: /^@verigate\/client$/, replacement: path("../clients/ts/src/index.ts") },
    ],
    dedupe: ["react", "react-dom"],
  },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    // The page's policy allows no data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: licences },
    rolldownOptions: {
      output: {
        entryFileNames: "assets/[name].js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
});
