// Package aiprise is the adapter for AiPrise (aiprise.com): hosted pages by
// POST /verify/get_user_verification_url, signed callbacks and event callbacks,
// and the result endpoint.
//
// It owns every AiPrise word: header names, payload keys, statuses, event
// types. It imports provider, edge, verification and secret, never store, rpc,
// sandbox or another adapter. It keeps no state, starts no goroutine and
// retries nothing; the only clock it reads is the one for Retry-After dates.
//
//	Start ──► checkFlow (flow.go) ──► call (call.go) ──► hosted page,
//	                                                     ref "session:<id>"
//
//	webhook ──► Authenticate: signature, environment
//	        └─► Decode: payload (payload.go) ──► decide (mapping.go)
//
//	Fetch ──► call ──► payload ──► decide
//
// One kind of provider ref exists: "session:" and the verification_session_id.
// It is known since Start, so in a webhook it is a key and never overruled by a
// guess. Our own id travels as client_reference_id and comes back with it.
//
// Three kinds of body arrive, told apart by their keys: event_type makes an
// event, user_profile_event_type a profile event, neither a final result. A
// session that belongs to a user profile sends its result as an event or as a
// profile event only (AiPrise docs, user callbacks page), so all three decide.
//
// AiPrise's results are full of personal data. This package reads the few keys
// that it needs, and neither logs nor repeats a value in an error.
package aiprise
