/** A Node program as a process of its own, and what it prints. */
import { spawn } from "node:child_process";

/** What a program has printed, and how it ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Program is a running one. */
export class Program {
  readonly ended: Promise<Ended>;
  readonly #kill: () => void;
  #stdout = "";
  #stderr = "";
  #look: () => void = () => undefined;

  constructor(file: string, env: Record<string, string>) {
    const child = spawn(process.execPath, [file], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.on("data", (chunk: Buffer) => (this.#stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
      this.#look();
    });
    this.#kill = () => child.kill("SIGKILL");
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => {
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr });
        this.#look();
      });
    });
  }

  /** Waits until standard error matches. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    let over: Ended | undefined;
    void this.ended.then((ended) => (over = ended));
    return new Promise((resolve, reject) => {
      this.#look = () => {
        const match = pattern.exec(this.#stderr);
        if (match !== null) {
          resolve(match);
        } else if (over !== undefined) {
          reject(new Error(`the program ended with ${over.code}: ${this.#stderr}`));
        }
      };
      this.#look();
      void this.ended.then(() => this.#look());
    });
  }

  /** Ends it, if it runs still. */
  async kill(): Promise<void> {
    this.#kill();
    await this.ended;
  }
}
