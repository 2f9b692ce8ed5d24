import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, inject, test, vi } from "vitest";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import { EventKind, EventSchema, EventSource, type Event } from "../../../gen/ts/verigate/v1/event_pb.js";
import { VerificationResult, VerificationState } from "../../../gen/ts/verigate/v1/verification_pb.js";
import { client, complete, transports } from "./calls.js";
import { receiver } from "./receiver.js";

// A callback that was signed in one language and must verify in the others: the
// Go tests read the same file.
interface Message {
  name: string;
  signedBy: string;
  secret: string;
  id: string;
  timestamp: number;
  signature: string;
  body: string;
}

const golden = new URL("../../../docs/receiver/testdata/messages.json", import.meta.url);
const messages = JSON.parse(readFileSync(golden, "utf8")) as Message[];

describe("a golden message", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test("comes from Go and from TypeScript", () => {
    expect(new Set(messages.map((m) => m.signedBy))).toEqual(new Set(["go", "typescript"]));
  });

  test.each(messages)("verifies: $name, signed by $signedBy", (message) => {
    const at = new Date(message.timestamp * 1000);
    vi.useFakeTimers({ now: at, toFake: ["Date"] });
    const verifier = new Webhook(message.secret);
    const headers = {
      "webhook-id": message.id,
      "webhook-timestamp": String(message.timestamp),
      "webhook-signature": message.signature,
    };
    const body = Buffer.from(message.body);
    const event = fromJson(EventSchema, verifier.verify(body, headers) as JsonValue, { ignoreUnknownFields: true });
    expect(event.id).toBe(message.id);
    expect(event.id).toBe(`${event.id.slice(0, 36)}.${event.version}`);
    expect(message.signature.split(" ")).toContain(verifier.sign(message.id, at, body));
    const changed = Buffer.from(`${message.body} `);
    expect(() => verifier.verify(changed, headers)).toThrow(WebhookVerificationError);
  });

  test("reads as the event that it is", () => {
    const event = fromJson(EventSchema, JSON.parse(messages[0]?.body ?? "") as JsonValue);
    expect(event).toMatchObject({
      apiVersion: "v1",
      kind: EventKind.PASSED,
      state: VerificationState.APPROVED,
      previousState: VerificationState.PROCESSING,
      result: VerificationResult.PASS,
      source: EventSource.PROVIDER,
      version: 5n,
      terminal: true,
      revision: false,
      environment: "live",
    });
  });
});

describe.sequential("the running gateway", () => {
  const backend = client(Object.values(transports)[0]!, inject("url"), inject("apiKey"));

  test("sends each event once, in order, to the address that it belongs to", async () => {
    const inbox = await openInbox();
    try {
      const id = await run(inbox);
      await inbox.until(() => inbox.of("decisions", id).length === 1 && inbox.of("events", id).length === 3);
      expect(inbox.of("events", id).map((e) => [e.version, e.kind])).toEqual([
        [1n, EventKind.STARTED],
        [2n, EventKind.SESSION_OPENED],
        [3n, EventKind.PERSON_RETURNED],
      ]);
      expect(inbox.of("decisions", id)[0]).toMatchObject({
        id: `${id}.4`,
        apiVersion: "v1",
        kind: EventKind.PASSED,
        state: VerificationState.APPROVED,
        result: VerificationResult.PASS,
        version: 4n,
        flow: "identity",
        environment: "test",
        terminal: true,
        revision: false,
      });
    } finally {
      await inbox.close();
    }
  });

  test("sends again what was not taken, before what follows it", async () => {
    const inbox = await openInbox({ failures: 1 });
    try {
      const id = await run(inbox);
      await inbox.until(() => inbox.of("events", id).length === 3);
      expect(inbox.of("events", id).map((e) => e.version)).toEqual([1n, 2n, 3n]);
      expect(inbox.failed).toEqual([`${id}.1`]);
    } finally {
      await inbox.close();
    }
  });

  // Takes one person through, with callbacks to the inbox.
  async function run(inbox: Inbox): Promise<string> {
    const answer = await backend.startVerification({
      flow: "identity",
      subject: `ts-${randomUUID()}`,
      redirectUrl: "myapp://verify-complete",
      callbackUrl: `${inbox.url}/decisions`,
      eventsCallbackUrl: `${inbox.url}/events`,
    });
    await complete(answer.hostedUrl, "pass");
    return answer.verification?.id ?? "";
  }
});

type Channel = "decisions" | "events";

interface Inbox {
  url: string;
  // The ids of events that were refused on purpose.
  failed: string[];
  of(channel: Channel, verificationId: string): Event[];
  until(holds: () => boolean): Promise<void>;
  close(): Promise<void>;
}

// Receives callbacks as the documentation shows it. The first failures events of
// the events channel are answered 500.
async function openInbox({ failures = 0 } = {}): Promise<Inbox> {
  const taken: { channel: Channel; event: Event }[] = [];
  const failed: string[] = [];
  const listeners = new Set<() => void>();
  const secret = inject("callbackSecret");
  const take = (channel: Channel) =>
    receiver(secret, async (event) => {
      if (channel === "events" && failed.length < failures) {
        failed.push(event.id);
        throw new Error("on purpose");
      }
      taken.push({ channel, event });
      for (const tell of listeners) tell();
    });
  const routes = { "/decisions": take("decisions"), "/events": take("events") };
  const server: Server = createServer((request, response) => {
    const route = routes[request.url as keyof typeof routes];
    if (route === undefined) {
      response.writeHead(404).end();
      return;
    }
    void route(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    failed,
    of: (channel, id) =>
      taken.filter((t) => t.channel === channel && t.event.verificationId === id).map((t) => t.event),
    until: (holds) =>
      new Promise((resolve) => {
        const look = () => {
          if (holds()) {
            listeners.delete(look);
            resolve();
          }
        };
        listeners.add(look);
        look();
      }),
    close: () =>
      new Promise((resolve, reject) => {
        server.closeAllConnections();
        server.close((error) => (error === undefined ? resolve() : reject(error)));
      }),
  };
}
