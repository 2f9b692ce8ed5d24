/** What a watch is given: by its caller, and by the client that it belongs to. */
import type { Calls } from "./calls.js";
import type { Line } from "./line.js";
import type { Presence } from "./presence.js";
import type { Seams } from "./seams.js";

/** What a watch may be told. */
export interface WatchOptions {
  /** Ends the watch: the iteration rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** The last version that is known already; 0n unless given. */
  readonly afterVersion?: bigint | undefined;
  /** Stay after a terminal state, to see it revised. Such a watch never ends by itself. */
  readonly followRevisions?: boolean | undefined;
  /** Called with how the line is, whenever that changes. What it throws ends the watch. */
  readonly onLine?: ((line: Line) => void) | undefined;
}

/** What all watches of one client share. */
export interface Shared {
  readonly baseUrl: string;
  readonly heartbeatMs: number;
  readonly tokenRenews: boolean;
  readonly canStream: () => boolean;
  readonly calls: Calls;
  readonly presence: Presence;
  readonly seams: Seams;
}
