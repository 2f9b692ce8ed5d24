/**
 * The callbacks of one start, as the page's backend half receives them: over
 * server-sent events, which the browser reconnects by itself.
 *
 * Only a page that is seen listens: over HTTP/1.1 a browser has six connections
 * to an origin for all its tabs. What was missed comes with the next listening.
 */
import { useEffect, useEffectEvent, useState } from "react";
import type { Callback } from "./session.js";

/** How listening goes. */
export type Hearing = "idle" | "connecting" | "listening";

interface Message {
  readonly id: string;
  readonly received_at: string;
  readonly body: string;
}

/** Hears the callbacks of a run while the page is seen. */
export function useCallbacks(run: string | undefined, seen: boolean, onCallback: (callback: Callback) => void): Hearing {
  const [hearing, setHearing] = useState<Hearing>("idle");
  const tell = useEffectEvent(onCallback);

  useEffect(() => {
    if (run === undefined || !seen) {
      return undefined;
    }
    setHearing("connecting");
    let source: EventSource;
    let again: ReturnType<typeof setTimeout> | undefined;
    const open = (): void => {
      source = new EventSource(`/demo/callbacks?run=${encodeURIComponent(run)}`);
      source.addEventListener("open", () => setHearing("listening"));
      source.addEventListener("error", () => {
        setHearing("connecting");
        // After an answer that is no event stream the browser gives up: a gateway
        // that is just starting says 503.
        if (source.readyState === EventSource.CLOSED) {
          again = setTimeout(open, retryMs);
        }
      });
      source.addEventListener("message", ({ data }: MessageEvent<string>) => {
        const { id, received_at: receivedAt, body } = JSON.parse(data) as Message;
        tell({ id, receivedAt, body });
      });
    };
    open();
    return () => {
      clearTimeout(again);
      source.close();
      setHearing("idle");
    };
  }, [run, seen]);

  return hearing;
}

/** The pause before listening again, in milliseconds. */
const retryMs = 1000;
