/** The caller's AbortSignal. */

/** The reason of an aborted signal; older React Native knows none. */
export function reasonOf(signal: AbortSignal): unknown {
  if (signal.reason !== undefined) {
    return signal.reason;
  }
  const reason = new Error("the operation was aborted");
  reason.name = "AbortError";
  return reason;
}
