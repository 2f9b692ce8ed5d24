// Package sandbox plays the providers: emulators over real HTTP that
// `verigate dev` and the tests talk to, as faithful as the providers' public
// documentation allows and wrong on demand.
//
// It owns the hosted pages, the providers' own endpoints, signed webhooks with
// retries, and the faults. It imports nothing of this project but secret: an
// emulator that shared code with the adapter it checks would share its
// mistakes too. Nothing in the gateway knows that it talks to a sandbox.
//
// What every emulator needs is in emulator.go and account.go, sender.go and
// delivery.go, faults.go, outcome.go, redirect.go, shelf.go and json.go; files
// that begin with a provider's name are that provider's alone. VerifyHuman:
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
// AiPrise brings the addresses of its webhooks with each session, and has two:
//
//	adapter ── POST api/v1/verify/get_user_verification_url ──► session ──► verification_url
//	person ─── GET  verify?verification_session_id= ──► hosted page, SESSION_STARTED
//	its form   POST verify/complete ──► redirect_uri with the session id, REQUEST_SUBMITTED
//	                 │
//	                 └─► sender ── delay, faults ──► final result on callback_url
//	                                            └──► SESSION_COMPLETION on events_callback_url
//	adapter ── GET  api/v1/verify/get_user_verification_result/{id} ──► result so far
//	tests ──── control/… ──► faults; reviewers' case updates; other events
//
// State is in memory and bounded. Where the documentation is silent, a comment
// says "our choice".
package sandbox
