// Package providertest is the suite that every provider adapter passes. An
// adapter's own test fills in a Harness and calls Run:
//
//	adapter_test.go ── Harness{Open, Sign, Fixtures, Start…} ──► Run
//	                                                              ├─ authentication
//	                                                              ├─ decoding
//	                                                              └─ Start, against a real HTTP server
//
// It owns what is true for all providers: what is not proven is not authentic,
// no bytes make Decode panic, every fixture is read as its golden notice, Start
// keeps its deadline and follows no redirect, and neither a provider's text nor
// a secret reaches a message. What only one provider promises is that adapter's
// own test.
//
// It imports provider and verification, never an adapter.
package providertest
