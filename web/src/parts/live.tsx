/** The third step: what an app hears over its watch. */
import type { Line } from "@verigate/client";
import { latest, type Session } from "../session.js";
import { between, duration } from "../time.js";
import type { Watching } from "../use_watch.js";
import { useClock } from "../use_page.js";
import { titleOfResult, wordsOfState } from "../words.js";
import { Panel } from "./frame.js";
import { Timeline, type LineEvent } from "./timeline.js";

/** What the step needs. */
export interface LiveProps {
  readonly session: Session | undefined;
  readonly watching: Watching;
  readonly lineEvents: readonly LineEvent[];
}

/** The line, the result and the timeline. */
export function Live({ session, watching, lineEvents }: LiveProps) {
  const watched = session === undefined ? undefined : watching;
  return (
    <Panel
      id="live-title"
      role="As your app"
      title="Hear the result live"
      className="live"
      aside={<LineBadge watching={watched} />}
    >
      <Result session={session} />
      {watched !== undefined && <LineDetail watching={watched} over={latest(session)?.terminal ?? false} />}
      <h3 id="timeline-title">Timeline</h3>
      <Timeline session={session} lineEvents={lineEvents} />
    </Panel>
  );
}

function Result({ session }: { session: Session | undefined }) {
  const step = latest(session);
  const running = session !== undefined && !(step?.terminal ?? false);
  const now = useClock(running);
  if (session === undefined) {
    return (
      <div className="result" data-result="none">
        <Mark result="none" />
        <p className="result-word">No result yet</p>
        <p className="result-text">The stream opens when a verification is started.</p>
      </div>
    );
  }
  const result = step?.result ?? "pending";
  const words = wordsOfState(step?.state ?? "created");
  const took = step?.terminal ? between(session.startedAt, step.at) : now - Date.parse(session.startedAt);
  return (
    <div className="result" data-result={result} id="result">
      <Mark result={result} />
      <p className="result-word">{titleOfResult(result)}</p>
      <p className="result-text">
        {words.title}
        {step !== undefined && step.reasons.length > 0 && `: ${step.reasons.join(", ")}`}
        <span className="result-time">
          {step?.terminal ? "after " : ""}
          {duration(took)}
        </span>
      </p>
    </div>
  );
}

const marks: Readonly<Record<string, string>> = {
  pass: "M7.5 14.5l3.2 3.3 5.8-7",
  fail: "M8.5 10.5l7 7M15.5 10.5l-7 7",
  pending: "M12 9.5v4.5l3 2",
  none: "M8.5 14h7",
};

/** The gate of the logo, with what it says of this person. */
function Mark({ result }: { result: string }) {
  return (
    <svg className="mark" viewBox="0 0 24 24" aria-hidden="true">
      <path className="gate" d="M2.5 22.5V11.5a9.5 9.5 0 0 1 19 0v11z" />
      <path className="sign" d={marks[result] ?? marks["pending"]} />
    </svg>
  );
}

const lineWords: Readonly<Record<Line["state"], string>> = {
  connecting: "Connecting",
  live: "Live",
  polling: "Polling",
  waiting: "Reconnecting",
  ended: "Ended",
};

/** What the line is called: idle before there is one, stopped after an error. */
function phaseOf(watching: Watching | undefined): string {
  if (watching === undefined) {
    return "idle";
  }
  return watching.error === undefined ? watching.line.state : "stopped";
}

function LineBadge({ watching }: { watching: Watching | undefined }) {
  const phase = phaseOf(watching);
  const word = phase === "idle" ? "Not started" : phase === "stopped" ? "Stopped" : lineWords[watching?.line.state ?? "ended"];
  return (
    <p className="line" id="line" data-phase={phase}>
      <span className="dot" aria-hidden="true" />
      {word}
    </p>
  );
}

function LineDetail({ watching, over }: { watching: Watching; over: boolean }) {
  return (
    <p className="quiet line-detail" id="line-detail">
      {detailOf(watching, over)}
    </p>
  );
}

function detailOf({ line, error }: Watching, over: boolean): string {
  if (error !== undefined) {
    return over
      ? "The result stands. This page no longer hears whether it is revised."
      : `${sentence(error.message)} Trying again would not help; start another verification.`;
  }
  switch (line.state) {
    case "waiting":
      return `Next try in ${duration(line.retryInMs ?? 0)}. ${sentence(line.reason ?? "")}`;
    case "polling":
      return "No stream can be had just now; the gateway is asked again and again.";
    case "live":
      return over ? "It is over. The stream stays open, as a review may still turn a decision over." : "The stream is open.";
    case "connecting":
      return "Opening the stream.";
    case "ended":
      return "The stream is closed.";
  }
}

/** Ends a text that is not empty with a full stop, and begins it with a capital. */
function sentence(text: string): string {
  return text === "" ? "" : `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
}
