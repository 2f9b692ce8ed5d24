/** What the page asks of its browser: whether it is seen, and what time it is. */
import { useEffect, useState, useSyncExternalStore } from "react";

/** Whether somebody can see the page. */
export function useSeen(): boolean {
  return useSyncExternalStore(
    (changed) => {
      document.addEventListener("visibilitychange", changed);
      return () => document.removeEventListener("visibilitychange", changed);
    },
    () => !document.hidden,
  );
}

/** The time in milliseconds, read every second while running is true. */
export function useClock(running: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!running) {
      return undefined;
    }
    const read = (): void => setNow(Date.now());
    read();
    const timer = setInterval(read, 1000);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}
