package main

import (
	"testing"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

const (
	pass    = verigatev1.VerificationResult_VERIFICATION_RESULT_PASS
	fail    = verigatev1.VerificationResult_VERIFICATION_RESULT_FAIL
	pending = verigatev1.VerificationResult_VERIFICATION_RESULT_PENDING

	exact    = verigatev1.VerificationMatch_VERIFICATION_MATCH_EXACT
	inferred = verigatev1.VerificationMatch_VERIFICATION_MATCH_INFERRED
	bound    = verigatev1.VerificationMatch_VERIFICATION_MATCH_BOUND
)

func says(id string, version int64, result verigatev1.VerificationResult, match verigatev1.VerificationMatch) *verigatev1.Verification {
	return &verigatev1.Verification{Id: id, Subject: "ada", Reference: "of " + id, Version: version, Result: result, Match: match}
}

func TestWhatAUserMayDoFollowsFromTheNewestOfEachVerification(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		told     []*verigatev1.Verification
		verified bool
		// now and again are the names of the tries that an app gets.
		now, again string
	}{
		{name: "nothing is known", now: "first", again: "first"},
		{name: "pending", told: []*verigatev1.Verification{says("a", 2, pending, exact)}, now: "of a", again: "of a"},
		{name: "passed", told: []*verigatev1.Verification{says("a", 4, pass, exact)}, verified: true, now: "of a", again: "of a"},
		{name: "passed by inference", told: []*verigatev1.Verification{says("a", 4, pass, inferred)}, now: "of a", again: "of a"},
		{name: "bound by hand", told: []*verigatev1.Verification{says("a", 4, pass, bound)}, now: "of a", again: "of a"},
		{
			name: "failed, and told twice", told: []*verigatev1.Verification{says("a", 4, fail, exact), says("a", 4, fail, exact)},
			now: "of a", again: "after a",
		},
		{
			name: "an old message comes late", told: []*verigatev1.Verification{says("a", 5, fail, exact), says("a", 4, pass, exact)},
			now: "of a", again: "after a",
		},
		{
			name: "turned over", told: []*verigatev1.Verification{says("a", 4, fail, exact), says("a", 5, pass, exact)},
			verified: true, now: "of a", again: "of a",
		},
		{
			name: "failed, then begun anew", told: []*verigatev1.Verification{says("b", 2, pending, exact), says("a", 4, fail, exact)},
			now: "of b", again: "of b",
		},
		{
			name: "failed, then passed", told: []*verigatev1.Verification{says("a", 4, fail, exact), says("b", 4, pass, exact)},
			verified: true, now: "of b", again: "of b",
		},
	} {
		users := NewUsers()
		for _, v := range c.told {
			users.Record(v)
		}
		if got := users.Verified("ada"); got != c.verified {
			t.Errorf("%s: verified %v, want %v", c.name, got, c.verified)
		}
		if now, again := users.Reference("ada", false), users.Reference("ada", true); now != c.now || again != c.again {
			t.Errorf("%s: the tries are %q and %q, want %q and %q", c.name, now, again, c.now, c.again)
		}
		if users.Verified("bob") || users.Reference("bob", true) != "first" {
			t.Errorf("%s: another user is concerned", c.name)
		}
	}
}
