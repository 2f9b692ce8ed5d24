/** The timeline: each recorded state, and what became of the line in between. */
import type { Session, Step } from "../session.js";
import { between, duration, timeOfDay } from "../time.js";
import { wordsOfState } from "../words.js";

/** Something that happened to the line, not to the verification. */
export interface LineEvent {
  readonly kind: "lost" | "back";
  /** ISO 8601, by this machine's clock. */
  readonly at: string;
}

const lineTexts: Readonly<Record<LineEvent["kind"], { title: string; text: string }>> = {
  lost: { title: "Line interrupted", text: "The client comes back by itself and asks for what it has not seen." },
  back: { title: "Line back", text: "Each message is the whole state, so nothing is missing." },
};

/** Draws what happened, oldest first. */
export function Timeline({ session, lineEvents }: { session: Session | undefined; lineEvents: readonly LineEvent[] }) {
  if (session === undefined) {
    return <Preview />;
  }
  const entries = [
    ...session.steps.map((step) => ({ at: step.at, entry: <StepEntry key={`step-${step.version}`} step={step} session={session} /> })),
    ...lineEvents.map((event) => ({ at: event.at, entry: <LineEntry key={`${event.kind}-${event.at}`} event={event} session={session} /> })),
  ].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  return (
    <ol className="timeline" id="timeline" aria-labelledby="timeline-title">
      <li data-kind="line">
        <p className="entry-title">Started</p>
        <time dateTime={session.startedAt}>{timeOfDay(session.startedAt)}</time>
        <p className="entry-text">The gateway has it, and the app has a token for it.</p>
      </li>
      {entries.map(({ entry }) => entry)}
    </ol>
  );
}

/** What to expect before anything happened. */
function Preview() {
  return (
    <ol className="timeline preview" aria-labelledby="timeline-title">
      {["pending", "processing"].map((state) => (
        <li key={state}>
          <p className="entry-title">{wordsOfState(state).title}</p>
          <p className="entry-text">{wordsOfState(state).text}</p>
        </li>
      ))}
      <li>
        <p className="entry-title">Approved, or declined</p>
        <p className="entry-text">The result, a moment after the provider’s webhook.</p>
      </li>
    </ol>
  );
}

function StepEntry({ step, session }: { step: Step; session: Session }) {
  const { title, text } = wordsOfState(step.state);
  return (
    <li data-kind={step.result}>
      <p className="entry-title">{title}</p>
      <Since at={step.at} start={session.startedAt} />
      <p className="entry-text">
        {text}
        {step.reasons.length > 0 && ` Reason: ${step.reasons.join(", ")}.`}
      </p>
      <p className="chips">
        <code>{step.state}</code>
        <code>version {step.version}</code>
        <code>result {step.result}</code>
      </p>
    </li>
  );
}

function LineEntry({ event, session }: { event: LineEvent; session: Session }) {
  const { title, text } = lineTexts[event.kind];
  return (
    <li data-kind="line">
      <p className="entry-title">{title}</p>
      <Since at={event.at} start={session.startedAt} />
      <p className="entry-text">{text}</p>
    </li>
  );
}

function Since({ at, start }: { at: string; start: string }) {
  return (
    <time dateTime={at} title={timeOfDay(at)}>
      +{duration(between(start, at))}
    </time>
  );
}
