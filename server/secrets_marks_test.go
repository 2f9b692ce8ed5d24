package server_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// A mark is a text that nobody else uses, put where a secret or something
// personal goes in. Wherever it comes out again it must be allowed to.
type mark struct {
	what, text string
	// may lists the places where it may be, each with the reason.
	may map[string]string
}

// The places that are searched, besides the columns of the database, which are
// named table.column.
const (
	inLog     = "the log"
	inMetrics = "the metrics"
	inTraces  = "the traces"
	inErrors  = "an error that a caller got"
	inAnswers = "an answer to whoever gave or owns it"
	inPrinted = "the printed configuration"
)

// Reasons that several marks share.
const (
	ownData   = "what a caller with an API key told, it may read again"
	needed    = "the product is made of it; erased on demand, see docs/privacy.md"
	shownOnce = "shown to whoever asked for it, this once"
)

const (
	markedSubject     = "marked-subject-of-somebody"
	markedUser        = "marked-end-user"
	markedReference   = "marked-reference"
	markedKey         = "marked-metadata-key"
	markedValue       = "marked-metadata-value"
	markedIdempotency = "marked-idempotency-key"
	markedRedirect    = "marked-redirect-query"
	markedCallback    = "marked-callback-query"
	markedTitle       = "marked-page-title"
	markedMessage     = "marked-success-message"
	markedReason      = "marked-cancel-reason"
	markedTicket      = "marked-erasure-ticket"
	markedName        = "marked-family-name"
	markedHeader      = "marked-webhook-header"
	markedQuery       = "marked-query-of-a-url"
	markedUnreadable  = "marked-unreadable-body"
	markedForged      = "marked-forged-body"
	markedParked      = "marked-parked-body"
	markedSignature   = "marked-forged-signature"
	markedNonce       = "marked-unknown-nonce"
	markedCredential  = "marked-garbage-credential"
	markedGuess       = "marked-guess-at-a-secret"
	markedPageToken   = "marked-page-token"
	markedProcedure   = "MarkedProcedure"
	markedFlow        = "marked-flow-of-nobody"
	markedBadRedirect = "marked-evil-host"
	markedUnnamed     = "marked-subject-that-is-refused"
	markedPanic       = "marked-panic-value"
	markedFault       = "marked-text-of-the-provider"
	markedCause       = "marked-cause-by-an-adapter"
	markedAgent       = "marked-user-agent"
	markedPath        = "marked-path-of-a-webhook"
	markedLocation    = "marked-redirect-of-the-provider"
	markedSetting     = "marked-setting-in-a-bad-file"
	markedIssuerText  = "marked-issuer-text" // what a broken issuer says, see issuer
)

// personalMarks are what callers and providers tell of people.
func personalMarks() []mark {
	row := func(columns ...string) map[string]string {
		may := map[string]string{inAnswers: ownData}
		for _, column := range columns {
			may[column] = needed
		}
		return may
	}
	return []mark{
		{"the subject", markedSubject, row("verification.subject", "verification_lookup.subject")},
		{"the end user", markedUser, row("verification.subject", "verification_lookup.subject")},
		{"the reference", markedReference, row("verification.reference", "verification_lookup.reference")},
		{"a metadata key", markedKey, row("verification.metadata")},
		{"a metadata value", markedValue, row("verification.metadata")},
		{"the redirect's query", markedRedirect, map[string]string{
			"verification.redirect_url": needed, "verification.failure_redirect_url": needed,
			inAnswers: "the way back sends the person there",
		}},
		{"the callback's query", markedCallback, map[string]string{
			"verification.callback_url": needed, "verification.events_callback_url": needed,
			"callback.url": "whoever sends it has to know where to; erased with the person",
		}},
		{"the cancel's reason", markedReason, map[string]string{"transition.reason": needed}},
		{"the erasure's reason", markedTicket, map[string]string{
			"audit_entry.details": "the audit log tells why", inAnswers: "the operator reads the audit log",
		}},
		{"the idempotency key", markedIdempotency, map[string]string{"idempotency.key": "a repeat is recognised by it; freed with the row"}},
	}
}

// outsideMarks are what the outside says that is neither secret nor personal.
func outsideMarks() []mark {
	const toldBack = "told back, as text, to whoever sent it"
	return []mark{
		{"an unknown procedure", markedProcedure, map[string]string{inErrors: toldBack}},
		{"the origin of a refused redirect", markedBadRedirect, map[string]string{inErrors: toldBack}},
		{"an adapter's cause", markedCause, map[string]string{
			inLog: "it is for the operator; what the provider said is not in it, see echo",
		}},
		{"the agent of a webhook", markedAgent, map[string]string{
			inTraces: "the software of whoever sends webhooks",
		}},
		{"the path of a webhook for nobody", markedPath, map[string]string{
			inTraces: "paths of webhooks hold no secret; the way back, whose path does, is not traced",
		}},
	}
}

// nowhereMarks must not come out anywhere: personal texts that are only passed
// on or refused, and what strangers send.
func nowhereMarks() []mark {
	var marks []mark
	for what, text := range map[string]string{
		"the page title": markedTitle, "the success message": markedMessage, "a webhook's field": markedName,
		"a webhook's header": markedHeader, "a query": markedQuery, "an unreadable body": markedUnreadable,
		"a forged body": markedForged, "a parked body": markedParked, "a forged signature": markedSignature,
		"an unknown nonce": markedNonce, "a garbage credential": markedCredential, "a guess": markedGuess,
		"a page token": markedPageToken, "an unknown flow": markedFlow, "a refused subject": markedUnnamed, "a panic's value": markedPanic,
		"the provider's text": markedFault, "the provider's redirect": markedLocation,
		"a setting": markedSetting, "an issuer's text": markedIssuerText,
	} {
		marks = append(marks, mark{what: what, text: text})
	}
	return marks
}

// search fails for each mark in a place where it must not be, plain or encoded.
func search(t *testing.T, places map[string]string, marks []mark) {
	t.Helper()
	for _, m := range marks {
		if len(m.text) < len("0123456789") {
			t.Fatalf("the mark for %s is too short to search for", m.what)
		}
		forms := encodings(m.text)
		for _, place := range slices.Sorted(maps.Keys(places)) {
			if _, allowed := m.may[place]; allowed {
				continue
			}
			for _, form := range forms {
				if at := strings.Index(places[place], form); at >= 0 {
					t.Errorf("%s is in %s: …%s…", m.what, place, places[place][max(0, at-200):min(len(places[place]), at+len(form)+60)])
					break
				}
			}
		}
	}
}
