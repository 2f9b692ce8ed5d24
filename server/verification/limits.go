package verification

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// fullRetry is when a slot of a full flow may be free again: a person takes
// minutes, and expiry comes by itself.
const fullRetry = 30 * time.Second

// Errors of full flows. They are told apart by their reasons.
var (
	errFlowFull = NewError(KindLimited, "FLOW_FULL",
		"this flow has as many open verifications as it allows; retry when some are over").After(fullRetry)
	errSubjectFull = NewError(KindLimited, "SUBJECT_FULL",
		"this subject has as many open verifications of the flow as it allows; finish or cancel one").After(fullRetry)
)

// checkOpen refuses a verification beyond its flow's limits. The flow is
// counted before the subject, always: two starts never wait for each other.
func checkOpen(ctx context.Context, tx Tx, v *Verification, f *Flow) error {
	for _, limit := range []struct {
		most    int
		subject string
		full    error
	}{{f.MaxOpen, "", errFlowFull}, {f.MaxOpenPerSubject, v.Subject, errSubjectFull}} {
		if limit.most == 0 {
			continue
		}
		open, err := tx.CountOpen(ctx, v.Scope, f.Name, limit.subject, limit.most)
		if err != nil {
			return err
		}
		if open >= limit.most {
			return limit.full
		}
	}
	return nil
}

// checkCaller refuses what an end user may not say: the subject is the token's,
// references and metadata are the backend's, a callback would tell a stranger's
// server, texts could be for somebody who gets the link, and short lifetimes
// would make room for ever more pages.
func (r StartRequest) checkCaller() error {
	if r.Subject == "" {
		return Invalid("subject", "is required: your opaque id for the user who is verified")
	}
	if r.Subject == ErasedSubject {
		return Invalid("subject", "is what erased subjects are called; use another id")
	}
	if !r.EndUser {
		return nil
	}
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"reference", r.Reference != ""},
		{"callback_url", r.CallbackURL != ""},
		{"events_callback_url", r.EventsCallbackURL != ""},
		{"metadata", len(r.Metadata) > 0},
		{"user_data", r.UserData != nil},
		{"expires_in", r.ExpiresIn != 0},
		{"page_title", r.PageTitle != ""},
		{"success_message", r.SuccessMessage != ""},
		{"failure_message", r.FailureMessage != ""},
	} {
		if field.set {
			return Invalid(field.name, "is for callers with an API key; leave it empty with an end user's token")
		}
	}
	return nil
}

// idempotencyKey is the key as it is stored. End users get a room of their own
// each: one must not learn of another's key, or take it.
func (r StartRequest) idempotencyKey() string {
	if !r.EndUser || r.IdempotencyKey == "" {
		return r.IdempotencyKey
	}
	room := sha256.Sum256([]byte(r.Subject))
	// A caller's key is printable, so no backend's key begins like this.
	return "\x1f" + hex.EncodeToString(room[:]) + "\x1f" + r.IdempotencyKey
}
