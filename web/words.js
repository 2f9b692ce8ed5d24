// What the page calls the states and results of the API.

const STATES = {
  created: ["Created", "The provider has not confirmed it yet."],
  pending: ["Waiting for the person", "The hosted page is ready."],
  processing: ["Confirming the result", "The person is done; the provider's decision is on its way."],
  in_review: ["In review", "A human at the provider looks at it."],
  approved: ["Approved", "The person passed."],
  declined: ["Declined", "The person did not pass."],
  expired: ["Expired", "Time ran out."],
  canceled: ["Canceled", "It was called off."],
  failed: ["Failed", "A machine broke; this says nothing about the person."],
};

const RESULTS = { pending: "Pending", pass: "Passed", fail: "Not passed" };

// stateOf names an update's state: {name, title, text}. A state that this page
// does not know is not decided.
export function stateOf(update) {
  const name = constant(update.state, "VERIFICATION_STATE_");
  const [title, text] = STATES[name] ?? ["Not decided", "This page does not know the state."];
  return { name, title, text };
}

// resultOf names an update's result: {name, title}. What is not known is not a
// success.
export function resultOf(update) {
  const known = constant(update.result, "VERIFICATION_RESULT_");
  const name = known in RESULTS ? known : "pending";
  return { name, title: RESULTS[name] };
}

function constant(value, prefix) {
  return String(value ?? "").replace(prefix, "").toLowerCase();
}
