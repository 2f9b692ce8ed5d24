package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/sandbox"
)

const (
	exactMatch = verigatev1.VerificationMatch_VERIFICATION_MATCH_EXACT
	inferred   = verigatev1.VerificationMatch_VERIFICATION_MATCH_INFERRED
	unmatched  = verigatev1.VerificationMatch_VERIFICATION_MATCH_UNSPECIFIED
	inReview   = verigatev1.VerificationState_VERIFICATION_STATE_IN_REVIEW
)

func TestEveryFaultOfTheProviderEndsAsItShould(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults sandbox.Faults
		// answer is what the last attempt got; 0 if nothing was sent.
		answer int
		state  verigatev1.VerificationState
		match  verigatev1.VerificationMatch
	}{
		"none":                      {sandbox.Faults{}, http.StatusOK, approved, inferred},
		"a link to the session":     {sandbox.Faults{LinkField: true}, http.StatusOK, approved, exactMatch},
		"the envelope":              {sandbox.Faults{Shape: sandbox.ShapeEnvelope}, http.StatusOK, approved, inferred},
		"the envelope with a link":  {sandbox.Faults{Shape: sandbox.ShapeEnvelope, LinkField: true}, http.StatusOK, approved, exactMatch},
		"a signed timestamp":        {sandbox.Faults{Signature: sandbox.SignatureTimestampBody}, http.StatusOK, approved, inferred},
		"an envelope, signed so":    {sandbox.Faults{Signature: sandbox.SignatureTimestampBody, Shape: sandbox.ShapeEnvelope}, http.StatusOK, approved, inferred},
		"a lost webhook":            {sandbox.Faults{Drop: true}, 0, pending, unmatched},
		"the wrong secret":          {sandbox.Faults{WrongSecret: true}, http.StatusUnauthorized, pending, unmatched},
		"a stale signed timestamp":  {sandbox.Faults{StaleTimestamp: true, Signature: sandbox.SignatureTimestampBody}, http.StatusUnauthorized, pending, unmatched},
		"a stale timestamp":         {sandbox.Faults{StaleTimestamp: true}, http.StatusUnauthorized, pending, unmatched},
		"headers that disagree":     {sandbox.Faults{Mismatch: true}, http.StatusUnauthorized, pending, unmatched},
		"envelope headers disagree": {sandbox.Faults{Mismatch: true, Shape: sandbox.ShapeEnvelope}, http.StatusUnauthorized, pending, unmatched},
		"an event nobody knows":     {sandbox.Faults{UnknownEvent: true}, http.StatusOK, pending, unmatched},
		"a status nobody knows":     {sandbox.Faults{UnknownStatus: true}, http.StatusOK, inReview, inferred},
		"a status nobody can link":  {sandbox.Faults{UnknownStatus: true, LinkField: true}, http.StatusOK, inReview, exactMatch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, c.faults)
			started := l.begin("hosted")
			l.complete(started.GetHostedUrl(), "pass")
			d := l.settled()
			if d.StatusCode != c.answer || d.Dropped != (c.answer == 0) {
				t.Errorf("the webhook was answered %d, dropped %t; want %d", d.StatusCode, d.Dropped, c.answer)
			}
			if c.answer == http.StatusUnauthorized && d.Attempt != 2 {
				t.Errorf("attempt %d was the last, want the second: a refusal is retried", d.Attempt)
			}
			v := l.state(started.GetVerification().GetId())
			if v.GetState() != c.state || v.GetMatch() != c.match {
				t.Errorf("it is %v, matched %v; want %v, %v", v.GetState(), v.GetMatch(), c.state, c.match)
			}
		})
	}
}

func TestDuplicatesOfAWebhookDecideOnce(t *testing.T) {
	t.Parallel()
	for name, shape := range map[string]sandbox.Shape{"flat": sandbox.ShapeFlat, "in an envelope": sandbox.ShapeEnvelope} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const copies = 4
			l := newLab(t, sandbox.Faults{Duplicate: copies, Shape: shape})
			started := l.begin("hosted")
			l.complete(started.GetHostedUrl(), "pass")
			for range copies + 1 {
				if d := l.settled(); !d.OK() {
					t.Errorf("copy %d was answered %d", d.Copy, d.StatusCode)
				}
			}
			if v := l.state(started.GetVerification().GetId()); v.GetState() != approved || v.GetVersion() != 3 {
				t.Errorf("it is %v", v)
			}
		})
	}
}

func TestReorderedWebhooksDecideTheirOwn(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Faults{LinkField: true})
	first, second := l.begin("hosted"), l.begin("hosted")
	if err := l.emulator.SetFaults(sandbox.Faults{LinkField: true, Reorder: true}); err != nil {
		t.Fatal(err)
	}
	l.complete(first.GetHostedUrl(), "pass")
	if err := l.emulator.SetFaults(sandbox.Faults{LinkField: true}); err != nil {
		t.Fatal(err)
	}
	l.complete(second.GetHostedUrl(), "fail")
	for range 2 {
		if d := l.settled(); !d.OK() {
			t.Errorf("the webhook was answered %d", d.StatusCode)
		}
	}
	one, two := l.state(first.GetVerification().GetId()), l.state(second.GetVerification().GetId())
	if one.GetState() != approved || two.GetState() != declined {
		t.Errorf("they are %v and %v, want approved and declined", one.GetState(), two.GetState())
	}
	if one.GetUpdateTime().AsTime().Before(two.GetUpdateTime().AsTime()) {
		t.Error("the first webhook was not held back, so the test proves nothing")
	}
}

func TestADelayedWebhookFindsThePersonConfirming(t *testing.T) {
	t.Parallel()
	delay := sandbox.Duration(300 * time.Millisecond)
	l := newLab(t, sandbox.Faults{Delay: &delay})
	started := l.begin("hosted")
	updates := watch(t, l.api(l.key), &verigatev1.WatchStatusRequest{Id: started.GetVerification().GetId()})
	updates.next()
	leg := l.complete(started.GetHostedUrl(), "pass")
	l.call(http.MethodGet, strings.TrimPrefix(leg, l.url), "")
	if u := updates.next(); u.GetState() != processing {
		t.Errorf("while the webhook is on its way: %v", u.GetState())
	}
	if u := updates.next(); u.GetState() != approved {
		t.Errorf("after it: %v", u.GetState())
	}
	updates.end()
}

func TestEveryFailureOfTheProviderAtStartHasItsCodeAndHidesItsText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults sandbox.Faults
		code   connect.Code
	}{
		"400":  {sandbox.Faults{GenerateStatus: 400}, connect.CodeFailedPrecondition},
		"401":  {sandbox.Faults{GenerateStatus: 401}, connect.CodeFailedPrecondition},
		"402":  {sandbox.Faults{GenerateStatus: 402}, connect.CodeFailedPrecondition},
		"403":  {sandbox.Faults{GenerateStatus: 403}, connect.CodeFailedPrecondition},
		"429":  {sandbox.Faults{GenerateStatus: 429}, connect.CodeUnavailable},
		"500":  {sandbox.Faults{GenerateStatus: 500}, connect.CodeUnavailable},
		"503":  {sandbox.Faults{GenerateStatus: 503}, connect.CodeUnavailable},
		"hang": {sandbox.Faults{GenerateHang: true}, connect.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, c.faults)
			err := send(t.Context(), l.api(l.key), &verigatev1.StartVerificationRequest{Flow: "hosted", Subject: "s"})
			wantCode(t, err, c.code)
			for _, theirs := range []string{"Invalid API key", "credits remaining", "does not include", "Too many", "sandbox", labKey} {
				if strings.Contains(err.Error(), theirs) {
					t.Errorf("%v repeats the provider's %q", err, theirs)
				}
			}
			list, err := l.api(l.key).ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{})
			if err != nil || len(list.GetVerifications()) != 1 ||
				list.GetVerifications()[0].GetState() != verigatev1.VerificationState_VERIFICATION_STATE_FAILED {
				t.Errorf("it left %v, %v; want one failed verification", list.GetVerifications(), err)
			}
			if text := l.logs.String(); strings.Contains(text, labKey) || strings.Contains(text, labSecret) {
				t.Error("the log holds a secret of the connection")
			}
		})
	}
}
