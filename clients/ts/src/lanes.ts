/**
 * Lanes: how many streams a browser may keep open to one gateway.
 *
 * Over HTTP/1.1 a browser opens six connections to an origin and shares them
 * between all its tabs. A stream occupies one of them for as long as it is
 * open, and a request that finds none free waits without an error. So over
 * HTTP/1.1 at most four streams of all tabs together are open at once; the two
 * connections that remain carry every other call.
 *
 *     takeLane ── not a browser, or no Web Locks ────────► a lane
 *              ── the line is HTTP/2 or HTTP/3 ──────────► a lane
 *              ── one of the origin's four locks is free ► a lane that holds it
 *              ── otherwise ─────────────────────────────► none: poll, ask again
 *
 * A lane that holds a lock gives it back when it is released or when its tab
 * goes away. HTTP/2 and HTTP/3 carry all streams on one connection and need no
 * limit; which protocol is spoken is known once a call to the gateway has
 * finished.
 *
 * Tabs of different origins share the connections but not the locks (Web Locks
 * belong to an origin): two apps on one gateway's HTTP/1.1 may take eight.
 */

/** The right to keep one stream open. */
export interface Lane {
  /** Gives the lane back. Calling it again does nothing. */
  release(): void;
}

/**
 * How many streams share the connections of one origin over HTTP/1.1: two fewer
 * than the six that Chromium, Firefox and Safari open.
 */
const LANES_OF_AN_ORIGIN = 4;

/** A lane where nothing limits streams. */
const UNLIMITED: Lane = { release: () => undefined };

/**
 * Takes a lane to the gateway at baseUrl, or tells that all are taken: then the
 * caller polls, with calls that answer at once, and asks again shortly. Whoever
 * gets a lane must release it, also when it turns out not to be needed.
 */
export async function takeLane(baseUrl: string): Promise<Lane | undefined> {
  const locks = browserLocks();
  if (locks === undefined) {
    return UNLIMITED;
  }
  const origin = new URL(baseUrl, location.href).origin;
  if (carriesManyStreams(origin)) {
    return UNLIMITED;
  }
  try {
    for (let number = 1; number <= LANES_OF_AN_ORIGIN; number++) {
      const lane = await holdIfFree(locks, `verigate lane ${number} of ${origin}`);
      if (lane !== undefined) {
        return lane;
      }
    }
    return undefined;
  } catch {
    // A sandboxed frame has Web Locks but may not use them (SecurityError). A
    // stream without a lane is better than none.
    return UNLIMITED;
  }
}

/**
 * The locks of this browser. Node 24 has navigator.locks too, but no limit of
 * connections; it has no location.
 */
function browserLocks(): LockManager | undefined {
  if (typeof location === "undefined" || typeof navigator === "undefined") {
    return undefined;
  }
  // Absent in insecure contexts, whatever the types say.
  return (navigator as { locks?: LockManager }).locks;
}

function holdIfFree(locks: LockManager, name: string): Promise<Lane | undefined> {
  return new Promise((resolve, reject) => {
    locks
      .request(name, { ifAvailable: true }, (lock) => {
        if (lock === null) {
          resolve(undefined);
          return undefined;
        }
        // The lock is held until this promise is kept.
        return new Promise<void>((release) => resolve({ release }));
      })
      .catch(reject);
  });
}

/**
 * Whether the newest finished call to an origin went over HTTP/2 or HTTP/3, by
 * origin. Kept here because the browser's own list ends at 250 entries
 * (Resource Timing, "resource timing buffer size limit"), while an observer is
 * told of every later one.
 */
const manyStreams = /*@__PURE__*/ new Map<string, boolean>();
let observer: PerformanceObserver | undefined;

function carriesManyStreams(origin: string): boolean {
  if (typeof PerformanceObserver === "undefined") {
    return false;
  }
  if (observer === undefined) {
    observer = new PerformanceObserver((list) => remember(list.getEntries()));
    observer.observe({ type: "resource" });
    remember(performance.getEntriesByType("navigation"));
    remember(performance.getEntriesByType("resource"));
  }
  remember(observer.takeRecords());
  return manyStreams.get(origin) ?? false;
}

function remember(entries: PerformanceEntryList): void {
  for (const entry of entries) {
    // Empty for another origin that does not send Timing-Allow-Origin, and for
    // calls that failed: says nothing.
    const { name, nextHopProtocol } = entry as PerformanceResourceTiming;
    if (nextHopProtocol) {
      manyStreams.set(new URL(name).origin, /^h[23]/.test(nextHopProtocol));
    }
  }
}
