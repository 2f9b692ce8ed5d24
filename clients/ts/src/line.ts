/** How the line to the gateway is, for an interface that wants to show it. */

/**
 * Line is how the line of one watch is:
 *
 * - `connecting`: a stream is being opened;
 * - `live`: a stream is open and a message came;
 * - `polling`: the gateway is asked again and again, as no stream can be had;
 * - `waiting`: the last try failed or the gateway asked to come back; the next
 *   one is in `retryInMs`;
 * - `ended`: the watch is over.
 */
export interface Line {
  readonly state: "connecting" | "live" | "polling" | "waiting" | "ended";
  /** With `waiting`: milliseconds until the next try. */
  readonly retryInMs?: number;
  /** With `waiting`, and with `ended` after an error: why, in a few words for a log. */
  readonly reason?: string;
}
