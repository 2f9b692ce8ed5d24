package main

import (
	"sync"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// Users knows what became of each user's verifications. Keep it in a table of
// yours; this one is forgotten when the process ends:
//
//	verification_id (primary key), user_id, reference, version, result, match
//
// What a user may do is derived from the rows and stored nowhere, so repeats,
// late decisions and revisions need no code of their own.
type Users struct {
	mu   sync.Mutex
	rows map[string]row
}

// row is the newest that is known of one verification.
type row struct {
	user      string
	reference string
	version   int64
	result    verigatev1.VerificationResult
	match     verigatev1.VerificationMatch
}

// NewUsers returns Users that know nothing yet.
func NewUsers() *Users { return &Users{rows: map[string]row{}} }

// Record notes where a verification stands. What is not newer than what is known
// changes nothing: the gateway may tell the same twice.
func (u *Users) Record(v *verigatev1.Verification) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if known, ok := u.rows[v.GetId()]; ok && known.version >= v.GetVersion() {
		return
	}
	u.rows[v.GetId()] = row{
		user: v.GetSubject(), reference: v.GetReference(),
		version: v.GetVersion(), result: v.GetResult(), match: v.GetMatch(),
	}
}

// Verified reports whether a user passed, for certain: a decision that was
// matched by inference or bound by hand is not good enough here.
func (u *Users) Verified(user string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range u.rows {
		if r.user == user && r.result == verigatev1.VerificationResult_VERIFICATION_RESULT_PASS &&
			r.match == verigatev1.VerificationMatch_VERIFICATION_MATCH_EXACT {
			return true
		}
	}
	return false
}

// Reference names the user's try, for StartVerification: the one that is under way
// or was the last, or, if again is asked for and that one is over without success,
// the try that follows it. Asked twice at once, it gives the same name.
func (u *Users) Reference(user string, again bool) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	// Ids grow with time (UUIDv7), so the largest is the newest.
	newest := ""
	for id, r := range u.rows {
		if r.user == user {
			newest = max(newest, id)
		}
	}
	last, found := u.rows[newest]
	switch {
	case !found:
		return "first"
	case again && last.result == verigatev1.VerificationResult_VERIFICATION_RESULT_FAIL:
		return "after " + newest
	default:
		return last.reference
	}
}
