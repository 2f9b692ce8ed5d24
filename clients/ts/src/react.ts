/**
 * A watch as a React hook, on the sub-path `@verigate/client/react`: an app
 * without React never loads it.
 *
 *     mount, or another client or id ─► watch ─► update, line ─► render
 *     unmount, or another client or id ─► abort: the call is closed
 *
 * It owns nothing but the link between a component and one `watch`: waiting,
 * reconnecting and giving up are the client's.
 */
import { useEffect, useState } from "react";
import type { Line, StatusUpdate, Verigate, VerigateError, WatchOptions } from "./index.js";

/** What a component may ask of its watch; see WatchOptions. */
export type UseWatchOptions = Pick<WatchOptions, "afterVersion" | "followRevisions">;

/** What a component knows of the verification that it watches. */
export interface Watched {
  /** The newest state, once one is known. */
  readonly update?: StatusUpdate;
  /** How the line is; `connecting` also while there is nothing to watch yet. */
  readonly line: Line;
  /** Why the watch ended without a terminal state. It does not come back by itself. */
  readonly error?: VerigateError;
}

/** What is known, and of which verification: an answer for another one is never shown. */
interface Known {
  readonly verigate: Verigate | undefined;
  readonly id: string | undefined;
  readonly watched: Watched;
}

const nothing: Watched = { line: { state: "connecting" } };

/**
 * Watches one verification for as long as the component is mounted. While the
 * client or the id is undefined it waits. Another client, id or option starts a
 * new watch; an options object with the same content does not.
 */
export function useWatch(
  verigate: Verigate | undefined,
  id: string | undefined,
  options: UseWatchOptions = {},
): Watched {
  const { afterVersion, followRevisions } = options;
  const [known, setKnown] = useState<Known>({ verigate, id, watched: nothing });

  useEffect(() => {
    if (verigate === undefined || id === undefined) {
      return undefined;
    }
    const stop = new AbortController();
    // After the abort the component may be gone, or watch something else.
    const show = (change: Partial<Watched>): void => {
      if (!stop.signal.aborted) {
        setKnown((before) => ({ verigate, id, watched: { ...watchedOf(before, verigate, id), ...change } }));
      }
    };
    const wanted: WatchOptions = {
      signal: stop.signal,
      onLine: (line) => show({ line }),
      ...(afterVersion === undefined ? {} : { afterVersion }),
      ...(followRevisions === undefined ? {} : { followRevisions }),
    };
    void follow(verigate, id, wanted, show);
    return () => stop.abort();
  }, [verigate, id, afterVersion, followRevisions]);

  return watchedOf(known, verigate, id);
}

function watchedOf(known: Known, verigate: Verigate | undefined, id: string | undefined): Watched {
  return known.verigate === verigate && known.id === id ? known.watched : nothing;
}

async function follow(
  verigate: Verigate,
  id: string,
  options: WatchOptions,
  show: (change: Partial<Watched>) => void,
): Promise<void> {
  try {
    for await (const update of verigate.watch(id, options)) {
      show({ update });
    }
  } catch (cause) {
    // A watch fails with nothing else.
    show({ error: cause as VerigateError });
  }
}
