import { defineConfig } from "vitest/config";

// The client in a real Chromium. Apart from the other tests, because it needs
// one: `make test-browser` runs it.
export default defineConfig({
  test: {
    include: ["test/browser/**/*.test.ts"],
    globalSetup: ["test/browser/setup.ts"],
    // Each file has a browser of its own; one at a time is enough for a small machine.
    fileParallelism: false,
    testTimeout: 90_000,
    hookTimeout: 90_000,
    reporters: ["default", ["junit", { outputFile: "../../.tmp/reports/ts-browser.xml" }]],
  },
});
