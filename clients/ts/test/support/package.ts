/**
 * The package as it is published, installed for a program of its own: built by
 * tsc into a temporary folder, with the real package.json and its exports.
 */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../../../..");
const modules = join(root, "node_modules");
const source = join(root, "clients/ts");

/** Installed is a folder with the package and programs that use it. */
export class Installed {
  private constructor(readonly dir: string) {}

  static async build(): Promise<Installed> {
    const installed = new Installed(await mkdtemp(join(tmpdir(), "verigate-ts-package-")));
    try {
      await installed.#install();
    } catch (error) {
      await installed.remove();
      throw error;
    }
    return installed;
  }

  async #install(): Promise<void> {
    const target = join(this.dir, "node_modules/@verigate/client");
    await mkdir(target, { recursive: true });
    await cp(join(source, "package.json"), join(target, "package.json"));
    // The package's own dependencies, as npm would have put them.
    for (const dependency of ["@bufbuild", "@connectrpc", "@types", "undici-types", "react"]) {
      await symlink(join(modules, dependency), join(this.dir, "node_modules", dependency));
    }
    await tsc("--project", join(source, "tsconfig.build.json"), "--outDir", join(target, "dist"));
    await writeFile(join(this.dir, "package.json"), JSON.stringify({ type: "module" }));
  }

  /** Compiles programs strictly against the package's declarations; gives the paths of their JavaScript. */
  async compile<Name extends string>(programs: Record<Name, string>): Promise<Record<Name, string>> {
    const names = Object.keys(programs) as Name[];
    const file = (name: Name, ending: string) => join(this.dir, `${name}.${ending}`);
    await Promise.all(names.map((name) => writeFile(file(name, "ts"), programs[name])));
    const strict = ["--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "--target", "ES2022"];
    await tsc(...strict, "--module", "NodeNext", "--types", "node", ...names.map((name) => file(name, "ts")));
    return Object.fromEntries(names.map((name) => [name, file(name, "js")])) as Record<Name, string>;
  }

  remove(): Promise<void> {
    return rm(this.dir, { recursive: true, force: true });
  }
}

async function tsc(...args: string[]): Promise<void> {
  try {
    await promisify(execFile)(process.execPath, [join(modules, "typescript/bin/tsc"), ...args]);
  } catch (error) {
    throw new Error(`tsc ${args.join(" ")}: ${(error as { stdout?: string }).stdout ?? error}`);
  }
}
