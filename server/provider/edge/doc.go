// Package edge is what every provider adapter needs where the outside begins
// and what is no company's business: reading JSON that somebody else wrote,
// checking settings, making one call, and refusing a webhook.
//
// It owns strictness: one object whose keys are all different, texts that can
// be stored and shown, credentials that never follow a redirect, errors that
// repeat nothing of what a provider sent. It knows no provider's words, keeps
// no state, retries nothing and reads no clock but the one of a call's timeout.
//
//	settings ──► Problems, BaseURLProblem, KeyProblem, TimeoutProblem
//	Open     ──► CheckOpen ──► WithoutRedirects
//	Start,   ──► Call.Do ──► Object
//	Fetch           └─ fails ──► a fault (fault.go): *verification.Error
//	webhook  ──► HeaderMAC, Unauthentic ──► Parse ──► Object ──► Label, UnknownFields
//
// It imports provider, verification, secret and outgoing, never store, rpc,
// sandbox or an adapter. Adapters import it; nothing else does.
package edge
