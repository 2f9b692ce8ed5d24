/**
 * What the page calls the states, results and events of the API. It owns the
 * words and the one rule about them: what is not known is not a success.
 */

/** A name and a sentence for it. */
export interface Words {
  readonly title: string;
  readonly text: string;
}

/** What an app asks for. */
export type ResultName = "pending" | "pass" | "fail";

const states: Readonly<Record<string, Words>> = {
  created: { title: "Created", text: "The gateway has it; the provider has not confirmed yet." },
  pending: { title: "Waiting for the person", text: "The hosted page is ready." },
  processing: { title: "Confirming the result", text: "The person is done; the provider’s signed decision is on its way." },
  in_review: { title: "In review", text: "A human at the provider looks at it." },
  approved: { title: "Approved", text: "The person passed." },
  declined: { title: "Declined", text: "The person did not pass." },
  expired: { title: "Expired", text: "Time ran out." },
  canceled: { title: "Canceled", text: "It was called off." },
  failed: { title: "Failed", text: "A machine broke. This says nothing about the person." },
};

const unknownState: Words = { title: "Not decided", text: "This page does not know the state, so it is no success." };

const resultTitles: Readonly<Record<ResultName, string>> = {
  pending: "Pending",
  pass: "Passed",
  fail: "Not passed",
};

/** The kinds of docs/events.md, in one sentence each. */
const kinds: Readonly<Record<string, string>> = {
  started: "It was started",
  session_opened: "The hosted page is ready",
  person_returned: "The person came back",
  person_submitted: "The person handed everything in",
  review_started: "A human looks at it",
  resubmission_requested: "The person has to try again",
  passed: "The person passed",
  rejected: "The person did not pass",
  revised_to_passed: "Revised: the person passed",
  revised_to_rejected: "Revised: the person did not pass",
  lifetime_ended: "Time ran out",
  cancel_requested: "It was called off",
  processing_failed: "A machine broke",
};

/** Names a state such as `in_review`. */
export function wordsOfState(name: string): Words {
  return states[name] ?? unknownState;
}

/** The title of a result. */
export function titleOfResult(name: ResultName): string {
  return resultTitles[name];
}

/** Reads a result's name; anything unknown is pending. */
export function resultNamed(name: string): ResultName {
  return name === "pass" || name === "fail" ? name : "pending";
}

/** Says what an event of a kind such as `EVENT_KIND_PASSED` is about. */
export function sentenceOfKind(kind: string): string {
  return kinds[kind.replace(/^EVENT_KIND_/, "").toLowerCase()] ?? "Something that this page does not know";
}
