/** The options of createVerigate, and the check that finds mistakes at once. */
import { VerigateError } from "./errors.js";

/** A token, or what gives one. */
export type Token = string | (() => string | Promise<string>);

/** Options of createVerigate. */
export interface VerigateOptions {
  /** Where the gateway is: an absolute http or https URL, such as "https://verify.example.com". */
  readonly baseUrl: string;
  /**
   * The credential: in an app the client token of one verification or the end
   * user's own token, in a backend an API key. A function is called before each
   * call, so it should keep what it has until shortly before that expires; a
   * watch whose token is refused calls it again at once.
   */
  readonly token: Token;
  /**
   * Time between the heartbeats of a stream in milliseconds, as the gateway's
   * `watch.heartbeat` has it; 15000 unless given. After three without a message
   * a stream counts as dead.
   */
  readonly heartbeatMs?: number;
  /**
   * Used instead of the global fetch. It is trusted to stream: give `expo/fetch`
   * on React Native.
   */
  readonly fetch?: typeof globalThis.fetch;
}

/** Options with everything filled in. */
export interface Settings {
  readonly baseUrl: string;
  readonly token: () => Promise<string>;
  /** Whether asking for the token again may give another one. */
  readonly tokenRenews: boolean;
  readonly heartbeatMs: number;
  readonly fetch: typeof globalThis.fetch | undefined;
}

const DEFAULT_HEARTBEAT_MS = 15_000;
const SHORTEST_HEARTBEAT_MS = 100;
const LONGEST_HEARTBEAT_MS = 300_000;

/** Checks the options. Throws a VerigateError `invalid_argument` that names the wrong one. */
export function settle(options: VerigateOptions): Settings {
  if (typeof options !== "object" || options === null) {
    throw wrong("options", "pass { baseUrl, token }");
  }
  const { baseUrl, token, heartbeatMs = DEFAULT_HEARTBEAT_MS, fetch } = options;
  checkBaseUrl(baseUrl);
  if (typeof token !== "function") {
    const problem = tokenProblem(token);
    if (problem !== undefined) {
      throw wrong("token", problem);
    }
  }
  if (!(typeof heartbeatMs === "number" && heartbeatMs >= SHORTEST_HEARTBEAT_MS && heartbeatMs <= LONGEST_HEARTBEAT_MS)) {
    throw wrong("heartbeatMs", `give milliseconds from ${SHORTEST_HEARTBEAT_MS} to ${LONGEST_HEARTBEAT_MS}, as the gateway's watch.heartbeat has it`);
  }
  if (fetch !== undefined && typeof fetch !== "function") {
    throw wrong("fetch", "give a function like the global fetch, or leave it out");
  }
  return { baseUrl: baseUrl.replace(/\/+$/, ""), token: () => currentToken(token), tokenRenews: typeof token === "function", heartbeatMs, fetch };
}

// Not with the URL class: React Native's is a sketch.
function checkBaseUrl(baseUrl: unknown): void {
  if (typeof baseUrl !== "string" || !/^https?:\/\/[^/?#@\\\s]+(\/[^?#\\\s]*)?$/i.test(baseUrl)) {
    throw wrong("baseUrl", 'give an absolute http or https URL without user, query or fragment, such as "https://verify.example.com"');
  }
}

async function currentToken(token: Token): Promise<string> {
  const got = typeof token === "function" ? await askForToken(token) : token;
  const problem = tokenProblem(got);
  if (problem !== undefined) {
    throw new VerigateError("unauthenticated", `token: the function returned a bad one: ${problem}`);
  }
  return got;
}

async function askForToken(token: () => string | Promise<string>): Promise<string> {
  try {
    return await token();
  } catch (error) {
    throw new VerigateError("unavailable", "token: the function failed", error);
  }
}

// A runtime would name the whole header in its error: what no header can carry
// is found here, without repeating it.
function tokenProblem(token: unknown): string | undefined {
  if (typeof token !== "string" || token === "") {
    return "it must be a string that is not empty";
  }
  return /^[\x21-\x7e]+$/.test(token) ? undefined : "it has spaces, line ends or letters that no header can carry";
}

function wrong(option: string, remedy: string): VerigateError {
  return new VerigateError("invalid_argument", `createVerigate: ${option}: ${remedy}`);
}
