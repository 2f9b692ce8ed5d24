/** The fourth step: the signed callbacks, as a backend receives them. */
import type { Callback, Session } from "../session.js";
import { between, duration } from "../time.js";
import type { Hearing } from "../use_callbacks.js";
import { sentenceOfKind } from "../words.js";
import { Panel } from "./frame.js";

/** What the step needs. */
export interface CallbacksProps {
  readonly session: Session | undefined;
  readonly hearing: Hearing;
}

const hearingWords: Readonly<Record<Hearing, string>> = {
  idle: "Not listening",
  connecting: "Connecting",
  listening: "Listening",
};

/** Lists the callbacks in the order in which they arrived. */
export function Callbacks({ session, hearing }: CallbacksProps) {
  const callbacks = session?.callbacks ?? [];
  return (
    <Panel
      id="callbacks-title"
      role="As your backend"
      title="Receive the signed callbacks"
      aside={
        <p className="line" id="hearing" data-phase={hearing === "listening" ? "live" : hearing}>
          <span className="dot" aria-hidden="true" />
          {hearingWords[hearing]}
        </p>
      }
    >
      <p className="quiet">
        This page’s backend half takes them at <code>/demo/callbacks</code> and verifies each with the Standard Webhooks
        library. What does not verify is refused.
      </p>
      {callbacks.length === 0 ? (
        <p className="quiet empty">None yet.</p>
      ) : (
        <ol className="callbacks" id="callbacks" aria-labelledby="callbacks-title">
          {callbacks.map((callback) => (
            <CallbackEntry key={callback.id} callback={callback} startedAt={session?.startedAt ?? callback.receivedAt} />
          ))}
        </ol>
      )}
    </Panel>
  );
}

function CallbackEntry({ callback, startedAt }: { callback: Callback; startedAt: string }) {
  const body = parsed(callback.body);
  const kind = typeof body["kind"] === "string" ? body["kind"] : "";
  return (
    <li>
      <p className="entry-title">{sentenceOfKind(kind)}</p>
      <time dateTime={callback.receivedAt}>+{duration(between(startedAt, callback.receivedAt))}</time>
      <p className="chips">
        <code>{kind}</code>
        <span className="verified">
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M3.5 8.5l3 3 6-7" />
          </svg>
          signature verified
        </span>
      </p>
      <p className="webhook-id">
        <span className="quiet">webhook-id</span> <code>{callback.id}</code>
      </p>
      <details>
        <summary>
          Body<span className="hidden"> of {kind}</span>
        </summary>
        <pre tabIndex={0} role="region" aria-label={`Body of ${kind}`}>
          {JSON.stringify(body, null, 2)}
        </pre>
      </details>
    </li>
  );
}

function parsed(body: string): Readonly<Record<string, unknown>> {
  return JSON.parse(body) as Record<string, unknown>;
}
