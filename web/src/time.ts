/** Times as a person reads them. */

const second = 1000;
const minute = 60 * second;

/** Writes a duration in milliseconds: `0.4 s`, `12 s`, `3 min 05 s`. */
export function duration(ms: number): string {
  const whole = Math.max(0, ms);
  if (whole < 10 * second) {
    return `${(whole / second).toFixed(1)} s`;
  }
  if (whole < minute) {
    return `${Math.floor(whole / second)} s`;
  }
  const seconds = Math.floor((whole % minute) / second);
  return `${Math.floor(whole / minute)} min ${String(seconds).padStart(2, "0")} s`;
}

/** Milliseconds from one ISO time to another. */
export function between(from: string, to: string): number {
  return Date.parse(to) - Date.parse(from);
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** The time of day of an ISO time, in the visitor's own form. */
export function timeOfDay(iso: string): string {
  return clock.format(new Date(iso));
}
