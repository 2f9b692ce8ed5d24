/** Whether this runtime's own fetch can hand out an answer bit by bit. */

/**
 * False where the global fetch only has whole answers: React Native, whose fetch
 * stands on XMLHttpRequest, and engines without streams.
 */
export function globalFetchStreams(): boolean {
  if (typeof navigator === "object" && navigator !== null && navigator.product === "ReactNative") {
    return false;
  }
  return typeof ReadableStream === "function" && typeof Response === "function" && "body" in Response.prototype;
}
