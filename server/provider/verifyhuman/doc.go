// Package verifyhuman is the adapter for VerifyHuman (verifyhuman.io): hosted
// pages by POST /hosted/generate or by a flow's stable page, signed webhooks,
// and the status endpoints of its mobile API.
//
// It owns every VerifyHuman word: header names, payload keys, statuses, error
// codes. It imports provider, edge, verification and secret, never store,
// rpc, sandbox or another adapter. It keeps no state, starts no goroutine, reads
// no clock and retries nothing.
//
//	Start ──► stable page? ──yes──► its URL, no call
//	              └──no──► call (call.go) ──► hosted page, ref "token:<sha256>"
//
//	webhook ──► Authenticate: signature, timestamp, header/body agreement
//	        └─► Decode: payload (payload.go) ──► decide (mapping.go)
//	                                         └─► addLinks (link.go)
//
//	Fetch ──► call ──► decide
//
// Three kinds of provider ref exist. "token:" and the SHA-256 of a hosted
// token, in hex, is known since Start; the token itself opens the page, so it
// is never kept. "session:" and "verification:" are VerifyHuman's ids as they
// stand in its payloads.
//
// The documentation contradicts itself in several places (payload shape, signed
// bytes, credential header). Where it does, this package accepts both readings
// and a setting pins one; the settings say which is which.
package verifyhuman
