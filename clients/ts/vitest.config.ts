import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Everything that runs on Node, against one real gateway. What needs a browser
// is in vitest.browser.config.ts.
export default defineConfig({
  // The examples name the package; here they get its source, which needs no
  // build. The phone that their test plays stands for react-native.
  resolve: {
    alias: [
      { find: "@verigate/client/react", replacement: file("src/react.ts") },
      { find: "@verigate/client/contract", replacement: file("src/contract.ts") },
      { find: "@verigate/client", replacement: file("src/index.ts") },
      { find: /^react-native$/, replacement: file("test/examples_phone.ts") },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/browser/**"],
    globalSetup: ["test/gateway.ts"],
    // They share one gateway, whose identity verifications are matched by
    // inference.
    fileParallelism: false,
    // Generous: only something broken takes this long, on however busy a machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["default", ["junit", { outputFile: "../../.tmp/reports/ts.xml" }]],
  },
});
