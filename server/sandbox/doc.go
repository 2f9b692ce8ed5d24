// Package sandbox plays the providers: emulators over real HTTP that
// `verigate dev` and the tests talk to, as faithful as the providers' public
// documentation allows and wrong on demand.
//
// It owns the hosted pages, the providers' own endpoints, signed webhooks with
// retries, and the faults. It imports nothing of this project but secret: an
// emulator that shared code with the adapter it checks would share its
// mistakes too. Nothing in the gateway knows that it talks to a sandbox.
//
// What every emulator needs is in sender.go and delivery.go, faults.go,
// redirect.go, shelf.go and json.go; files that begin with a provider's name
// are that provider's alone. VerifyHuman:
//
//	adapter ── POST hosted/generate ──► session ──► hosted_url, token, expires_at
//	person ─── GET  hosted/v/{token}, or flow/{slug} ──► hosted page
//	its script POST hosted/complete/{token} ──► status, redirect_url
//	                 │
//	                 └─► sender ── delay, faults ──► signed webhook, retried
//	adapter ── GET  api/mobile/v1/{product}/status/{id} ──► envelope
//	tests ──── control/… , test-ping ──► faults, sessions, ping
//
// A hosted token has no status endpoint, on purpose: the seed document on the
// mobile app drop-in says that VerifyHuman offers none, so GET hosted/status is
// a plain 404.
//
// State is in memory and bounded. Where the documentation is silent, a comment
// says "our choice".
package sandbox
