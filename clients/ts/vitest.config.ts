import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/gateway.ts"],
    // They share one gateway, whose identity verifications are matched by
    // inference.
    fileParallelism: false,
    testTimeout: 20_000,
  },
});
