// Framing of the Connect protocol's streams (Connect protocol reference,
// "Streaming RPCs"): one flag byte, four bytes of big-endian length, then the
// message. Here every message is JSON.

const HEADER_BYTES = 5;
const FLAG_COMPRESSED = 0x01;
const FLAG_END_STREAM = 0x02;

// A status message has a few hundred bytes. Far more is not ours to buffer.
const MAX_MESSAGE_BYTES = 1 << 20;

// StreamError is why a stream ended. Its code is one of the Connect protocol's.
export class StreamError extends Error {
  constructor(code, message) {
    super(message || code);
    this.name = "StreamError";
    this.code = code;
  }
}

// encodeEnvelope frames one message of a request.
export function encodeEnvelope(message) {
  const body = new TextEncoder().encode(JSON.stringify(message));
  const framed = new Uint8Array(HEADER_BYTES + body.length);
  new DataView(framed.buffer).setUint32(1, body.length);
  framed.set(body, HEADER_BYTES);
  return framed;
}

// EnvelopeParser turns chunks, cut anywhere, into whole envelopes.
export class EnvelopeParser {
  #pending = new Uint8Array(0);

  // push returns the envelopes that this chunk completed, oldest first, each as
  // {end, message}. It throws a StreamError on bytes that no gateway sends.
  push(chunk) {
    const bytes = new Uint8Array(this.#pending.length + chunk.length);
    bytes.set(this.#pending);
    bytes.set(chunk, this.#pending.length);

    const complete = [];
    let start = 0;
    while (bytes.length - start >= HEADER_BYTES) {
      const { flags, length } = readHeader(bytes, start);
      const stop = start + HEADER_BYTES + length;
      if (bytes.length < stop) {
        break;
      }
      complete.push({
        end: (flags & FLAG_END_STREAM) !== 0,
        message: parseJSON(bytes.subarray(start + HEADER_BYTES, stop)),
      });
      start = stop;
    }
    this.#pending = bytes.slice(start);
    return complete;
  }
}

function readHeader(bytes, start) {
  const flags = bytes[start];
  const length = new DataView(bytes.buffer, start + 1, 4).getUint32(0);
  if ((flags & FLAG_COMPRESSED) !== 0) {
    throw new StreamError("internal", "the stream is compressed, which was not asked for");
  }
  if (length > MAX_MESSAGE_BYTES) {
    throw new StreamError("internal", "a message of the stream is far too large");
  }
  return { flags, length };
}

function parseJSON(bytes) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new StreamError("internal", "a message of the stream is not JSON");
  }
}

// readEnvelopes yields the envelopes of a response body. It returns when the
// body ends, whole or cut: only its messages tell which.
export async function* readEnvelopes(body) {
  const reader = body.getReader();
  const parser = new EnvelopeParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      yield* parser.push(value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
