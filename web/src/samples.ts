/**
 * The code on the page. TypeScript, Kotlin and Go are the very files that the
 * tests of those clients compile and run; the build fails when one is missing.
 */
import typescript from "../../clients/ts/examples/ten_lines.ts?raw";
import go from "../../clients/go/tenlines/main.go?raw";
import kotlin from "../../clients/kotlin/src/test/kotlin/io/github/verigate/examples/TenLines.kt?raw";

/** A program that starts a verification, watches it and prints the result. */
export interface Sample {
  readonly name: string;
  readonly title: string;
  /** Where it is in the repository. */
  readonly path: string;
  readonly text: string;
}

/** The programs in the order of their tabs. */
export const samples = {
  typescript: { name: "typescript", title: "TypeScript", path: "clients/ts/examples/ten_lines.ts", text: typescript },
  kotlin: {
    name: "kotlin",
    title: "Kotlin",
    path: "clients/kotlin/src/test/kotlin/io/github/verigate/examples/TenLines.kt",
    text: kotlin,
  },
  go: { name: "go", title: "Go", path: "clients/go/tenlines/main.go", text: go },
} as const satisfies Record<string, Sample>;
