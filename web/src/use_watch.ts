/**
 * The page's watch: each new step of a verification, how the line is, and why it
 * ended. All of reconnecting, resuming and polling is the client's.
 *
 *     session ─► watch(id, after the last known version) ─► onStep, line
 *     another session, or no longer following ─► abort: the call is closed
 *
 * It uses `watch` and not the client's React hook, because the timeline wants
 * every version, also when two come at once and are drawn once.
 */
import {
  createVerigate,
  VerificationResult,
  VerificationState,
  type Line,
  type StatusUpdate,
  type VerigateError,
} from "@verigate/client";
import { useEffect, useEffectEvent, useState } from "react";
import { latest, type Session, type Step } from "./session.js";
import { resultNamed } from "./words.js";

/** What is known of the line to the gateway. */
export interface Watching {
  readonly line: Line;
  /** Why the watch ended; it does not come back by itself. */
  readonly error?: VerigateError;
}

const connecting: Watching = { line: { state: "connecting" } };

/**
 * Watches the session's verification while following is true, revisions of its
 * result included, from the last step that the session knows.
 */
export function useWatch(session: Session | undefined, following: boolean, onStep: (step: Step) => void): Watching {
  const [watching, setWatching] = useState<Watching>(connecting);
  const tell = useEffectEvent(onStep);
  const resume = useEffectEvent(() => latest(session)?.version ?? 0);
  const { id, token } = session ?? {};

  useEffect(() => {
    if (id === undefined || token === undefined || !following) {
      return undefined;
    }
    const stop = new AbortController();
    setWatching(connecting);
    const run = async (): Promise<void> => {
      const verigate = createVerigate({ baseUrl: location.origin, token });
      const updates = verigate.watch(id, {
        afterVersion: BigInt(resume()),
        followRevisions: true,
        signal: stop.signal,
        onLine: (line) => stop.signal.aborted || setWatching({ line }),
      });
      for await (const update of updates) {
        tell(stepOf(update));
      }
    };
    run().catch((error: VerigateError) => {
      if (!stop.signal.aborted) {
        setWatching({ line: { state: "ended" }, error });
      }
    });
    return () => stop.abort();
  }, [id, token, following]);

  return watching;
}

/** A message in the page's words. */
function stepOf(update: StatusUpdate): Step {
  const { seconds = 0n, nanos = 0 } = update.updateTime ?? {};
  return {
    version: Number(update.version),
    state: (VerificationState[update.state] ?? "unknown").toLowerCase(),
    result: resultNamed((VerificationResult[update.result] ?? "unknown").toLowerCase()),
    reasons: [...update.reasonCodes],
    at: new Date(Number(seconds) * 1000 + nanos / 1e6).toISOString(),
    terminal: update.terminal,
  };
}
