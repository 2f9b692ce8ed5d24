/** When the line was lost and came back, for the timeline. */
import { useEffect, useState } from "react";
import type { LineEvent } from "./parts/timeline.js";
import type { Watching } from "./use_watch.js";

interface Known {
  readonly id: string | undefined;
  readonly events: readonly LineEvent[];
}

/** More than this many are not kept. */
const maxEvents = 20;

/** The events of the line to one verification, in this load of the page. */
export function useLineEvents(id: string | undefined, { line }: Watching): readonly LineEvent[] {
  const [known, setKnown] = useState<Known>({ id, events: [] });
  const { state } = line;
  useEffect(() => {
    setKnown((before) => {
      const events = before.id === id ? before.events : [];
      const lost = events.at(-1)?.kind === "lost";
      const kind = !lost && state === "waiting" ? "lost" : lost && (state === "live" || state === "polling") ? "back" : undefined;
      return kind === undefined
        ? { id, events }
        : { id, events: [...events, { kind, at: new Date().toISOString() } as const].slice(-maxEvents) };
    });
  }, [id, state]);
  return known.id === id ? known.events : [];
}
