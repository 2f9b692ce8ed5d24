// Tests of the page's stream: node --test web/stream.test.mjs

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EnvelopeParser, encodeEnvelope } from "./envelope.js";
import { StatusWatch, backoff, durationMs } from "./stream.js";

const END_STREAM = 0x02;

function envelope(message, flags = 0) {
  const framed = encodeEnvelope(message);
  framed[0] = flags;
  return framed;
}

function join(...parts) {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const pending = { kind: "STATUS_UPDATE_KIND_SNAPSHOT", state: "VERIFICATION_STATE_PENDING", version: "2" };
const approved = { kind: "STATUS_UPDATE_KIND_UPDATE", state: "VERIFICATION_STATE_APPROVED", version: "4", terminal: true };
const endOK = envelope({}, END_STREAM);

describe("EnvelopeParser", () => {
  const whole = join(envelope({ text: "größer" }), envelope(pending), endOK);
  const parsed = [
    { end: false, message: { text: "größer" } },
    { end: false, message: pending },
    { end: true, message: {} },
  ];

  it("reads several messages in one chunk", () => {
    assert.deepEqual(new EnvelopeParser().push(whole), parsed);
  });

  it("reads the same messages wherever one cut falls", () => {
    for (let cut = 0; cut <= whole.length; cut += 1) {
      const parser = new EnvelopeParser();
      const got = [...parser.push(whole.subarray(0, cut)), ...parser.push(whole.subarray(cut))];
      assert.deepEqual(got, parsed, `cut at ${cut}`);
    }
  });

  it("reads the same messages byte by byte", () => {
    const parser = new EnvelopeParser();
    assert.deepEqual([...whole].flatMap((byte) => parser.push(Uint8Array.of(byte))), parsed);
  });

  it("reads a chunk that is a view into a larger buffer", () => {
    const buffer = join([9, 9, 9], envelope(pending), [9]);
    const got = new EnvelopeParser().push(buffer.subarray(3, buffer.length - 1));
    assert.deepEqual(got, [{ end: false, message: pending }]);
  });

  it("gives nothing for a message that is cut", () => {
    assert.deepEqual(new EnvelopeParser().push(envelope(pending).subarray(0, -1)), []);
  });

  for (const [name, bytes] of [
    ["compressed messages", envelope({}, 0x01)],
    ["messages of absurd length", Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff)],
    ["messages that are not JSON", Uint8Array.of(0, 0, 0, 0, 1, 0x7b)],
    ["messages that are not UTF-8", Uint8Array.of(0, 0, 0, 0, 3, 0x22, 0xff, 0x22)],
  ]) {
    it(`refuses ${name}`, () => {
      assert.throws(() => new EnvelopeParser().push(bytes), { name: "StreamError", code: "internal" });
    });
  }
});

describe("backoff and durations", () => {
  it("doubles its bound from 0.25 s to 30 s", () => {
    const bounds = [0, 1, 2, 6, 7, 8, 2000].map((failures) => backoff(failures, () => 1));
    assert.deepEqual(bounds, [250, 500, 1000, 16_000, 30_000, 30_000, 30_000]);
    assert.equal(backoff(3, () => 0.5), 1000);
  });

  it("reads durations, and takes anything odd for no time", () => {
    assert.deepEqual(["1.2s", "0.000001s", undefined, "", "-3s", "x"].map(durationMs), [1200, 0.001, 0, 0, 0, 0]);
  });
});

// A gateway answers each fetch with the next script: bytes, then its end. A
// script with `hold` stays open until the request is aborted.
function gateway(...scripts) {
  const requests = [];
  const answer = async (url, { method, headers, body, signal }) => {
    const asked = new EnvelopeParser().push(body)[0].message;
    requests.push({ url, method, headers, asked, signal });
    const script = scripts.shift() ?? { hold: true };
    if (script.fails) {
      throw new TypeError(script.fails);
    }
    const stream = new ReadableStream({
      start(controller) {
        (script.chunks ?? []).forEach((chunk) => controller.enqueue(chunk));
        if (!script.hold) {
          controller.close();
        }
        signal.addEventListener("abort", () => {
          if (script.hold) {
            controller.error(new DOMException("aborted", "AbortError"));
          }
        });
      },
    });
    return new Response(stream, { status: script.status ?? 200 });
  };
  return { answer, requests };
}

// world runs a watch with timers that fire when told to, and waits on signals.
function world(scripts, options = {}) {
  const { answer, requests } = gateway(...scripts);
  const updates = [];
  const lines = [];
  const timers = new Set();
  const observers = new Set();
  const note = () => observers.forEach((observer) => observer());
  const watch = new StatusWatch({
    id: "v-1",
    token: "token-1",
    onUpdate: (update) => (updates.push(update), note()),
    onLine: (line) => (lines.push(line), note()),
    fetch: answer,
    random: () => 1,
    startTimer(callback, ms) {
      const timer = { callback, ms };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    ...options,
  });
  const until = (holds) =>
    new Promise((resolve) => {
      const look = () => {
        if (holds()) {
          observers.delete(look);
          resolve();
        }
      };
      observers.add(look);
      look();
    });
  const fire = (ms) => {
    const timer = [...timers].find((candidate) => candidate.ms === ms);
    assert.ok(timer, `no timer of ${ms} ms among ${[...timers].map((t) => t.ms)}`);
    timers.delete(timer);
    timer.callback();
  };
  const phases = () => lines.map((line) => line.phase);
  return { watch, requests, updates, lines, timers, until, fire, phases };
}

const waiting = (w, times = 1) => () => w.phases().filter((phase) => phase === "waiting").length === times;

describe("StatusWatch", () => {
  it("asks as the Connect protocol wants it and is done with a terminal message", async () => {
    const w = world([{ chunks: [envelope(pending), envelope(approved), endOK] }]);
    await w.watch.run();
    assert.deepEqual(w.updates, [pending, approved]);
    assert.deepEqual(w.phases(), ["connecting", "live", "live", "done"]);
    const [request] = w.requests;
    assert.equal(request.url, "/verigate.v1.VerificationService/WatchStatus");
    assert.equal(request.method, "POST");
    assert.deepEqual(request.headers, {
      "Content-Type": "application/connect+json",
      "Connect-Protocol-Version": "1",
      Authorization: "Bearer token-1",
    });
    assert.deepEqual(request.asked, { id: "v-1", afterVersion: "0" });
    assert.ok(request.signal.aborted, "the request was left open");
    assert.equal(w.timers.size, 0, "a timer was left running");
  });

  it("is done when the terminal message came and the end of the stream did not", async () => {
    const w = world([{ chunks: [envelope(approved)] }]);
    await w.watch.run();
    assert.equal(w.lines.at(-1).phase, "done");
  });

  for (const [name, chunks] of [
    ["is cut after a message", [envelope(pending)]],
    ["is cut inside a message", [envelope(pending), envelope(approved).subarray(0, -1)]],
    ["ends well without a terminal message", [envelope(pending), endOK]],
  ]) {
    it(`is not done when the stream ${name}, and resumes by version`, async () => {
      const w = world([{ chunks }, { chunks: [envelope(approved)] }]);
      const running = w.watch.run();
      await w.until(waiting(w));
      assert.ok(!w.phases().includes("done"));
      assert.ok(w.lines.at(-1).lost);
      w.fire(250);
      await running;
      assert.deepEqual(w.requests[1].asked, { id: "v-1", afterVersion: "2" });
      assert.equal(w.lines.at(-1).phase, "done");
    });
  }

  it("tells the error of the end of the stream and comes back", async () => {
    const end = envelope({ error: { code: "unavailable", message: "a node stops" } }, END_STREAM);
    const w = world([{ chunks: [envelope(pending), end] }, { chunks: [envelope(approved)] }]);
    const running = w.watch.run();
    await w.until(waiting(w));
    assert.equal(w.lines.at(-1).reason, "a node stops");
    w.fire(250);
    await running;
    assert.equal(w.lines.at(-1).phase, "done");
  });

  for (const code of ["unauthenticated", "permission_denied", "not_found", "invalid_argument", "unimplemented"]) {
    it(`gives up on ${code}`, async () => {
      const w = world([{ chunks: [envelope({ error: { code, message: "no" } }, END_STREAM)] }]);
      await w.watch.run();
      assert.deepEqual(w.lines.at(-1), { phase: "refused", reason: "no", failures: 0 });
      assert.equal(w.requests.length, 1);
    });
  }

  it("gives up on HTTP 401 and comes back after HTTP 503", async () => {
    const w = world([{ status: 503 }, { status: 401 }]);
    const running = w.watch.run();
    await w.until(waiting(w));
    w.fire(250);
    await running;
    assert.deepEqual(w.lines.at(-1), { phase: "refused", reason: "the gateway answered 401", failures: 1 });
  });

  it("waits longer with each failure and starts over after a message", async () => {
    const w = world([{ fails: "x" }, { fails: "x" }, { fails: "x" }, { chunks: [envelope(pending)] }]);
    const running = w.watch.run();
    for (const [times, ms] of [[1, 250], [2, 500], [3, 1000], [4, 250]]) {
      await w.until(waiting(w, times));
      assert.equal(w.lines.at(-1).waitMs, ms);
      if (times < 4) {
        w.fire(ms);
      }
    }
    w.watch.stop();
    await running;
  });

  it("obeys drain: waits as told, without calling it a loss", async () => {
    const drain = { ...pending, kind: "STATUS_UPDATE_KIND_DRAIN", version: "3", reconnectAfter: "1.2s" };
    const w = world([{ chunks: [envelope(pending), envelope(drain)], hold: true }, { chunks: [envelope(approved)] }]);
    const running = w.watch.run();
    await w.until(waiting(w));
    assert.ok(w.requests[0].signal.aborted);
    assert.equal(w.lines.at(-1).lost, false);
    w.fire(1200);
    await running;
    assert.equal(w.requests[1].asked.afterVersion, "3");
  });

  it("takes 45 s of silence for a dead line", async () => {
    const w = world([{ chunks: [envelope(pending)], hold: true }]);
    const running = w.watch.run();
    await w.until(() => w.updates.length === 1);
    w.fire(45_000);
    await w.until(waiting(w));
    assert.match(w.lines.at(-1).reason, /45 seconds/);
    w.watch.stop();
    await running;
  });

  it("has no watchdog while hidden and opens anew when shown", async () => {
    const w = world([{ chunks: [envelope(pending)], hold: true }, { chunks: [envelope(approved)] }]);
    const running = w.watch.run();
    await w.until(() => w.updates.length === 1);
    w.watch.setHidden(true);
    assert.equal(w.timers.size, 0);
    w.watch.setHidden(false);
    await running;
    assert.ok(!w.phases().includes("waiting"));
    assert.deepEqual(w.requests.map((request) => request.asked.afterVersion), ["0", "2"]);
  });

  it("arms no watchdog for a page that is hidden from the start", async () => {
    const w = world([{ chunks: [envelope(pending)], hold: true }]);
    w.watch.setHidden(true);
    const running = w.watch.run();
    await w.until(() => w.updates.length === 1);
    assert.equal(w.timers.size, 0);
    w.watch.stop();
    await running;
  });

  it("does not wait out a backoff when it is told to reopen", async () => {
    const w = world([{ fails: "x" }, { chunks: [envelope(approved)] }]);
    const running = w.watch.run();
    await w.until(waiting(w));
    w.watch.reopen();
    await running;
    assert.equal(w.lines.at(-1).phase, "done");
    assert.equal(w.timers.size, 0);
  });

  it("stops for good while it reads and while it waits", async () => {
    for (const [script, ready] of [
      [{ chunks: [envelope(pending)], hold: true }, (w) => () => w.updates.length === 1],
      [{ fails: "x" }, (w) => waiting(w)],
    ]) {
      const w = world([script]);
      const running = w.watch.run();
      await w.until(ready(w));
      w.watch.stop();
      await running;
      assert.equal(w.requests.length, 1);
      assert.ok(w.requests[0].signal.aborted);
      assert.equal(w.timers.size, 0);
    }
  });
});
