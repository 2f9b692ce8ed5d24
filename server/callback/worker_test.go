package callback_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/callback"
	"github.com/verigate/verigate/server/outgoing"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

func TestAMessageSaysTheEventAndNothingPersonal(t *testing.T) {
	t.Parallel()
	g := newGateway(t, nil)
	r := receive(t, nil)
	c := g.one(r.URL + "/hook?key=of-the-caller")
	g.wantWait(c, 0)
	g.wantState(c, verification.CallbackDelivered, "", 1)
	m := <-r.got
	_, record, err := g.store.Callback(t.Context(), shop, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	id := c.VerificationID.String()
	moment := record.CreateTime.UTC().Format("2006-01-02T15:04:05.000000Z")
	want := `{"id":"` + id + `.1","apiVersion":"v1","kind":"EVENT_KIND_STARTED","verificationId":"` + id + `","flow":"identity",` +
		`"state":"VERIFICATION_STATE_CREATED","result":"VERIFICATION_RESULT_PENDING","version":"1","source":"EVENT_SOURCE_CALLER",` +
		`"createTime":"` + moment + `","environment":"test"}`
	if m.body != want {
		t.Errorf("the body is\n%s, want\n%s", m.body, want)
	}
	if m.id != id+".1" || m.header.Get("Content-Type") != "application/json" || m.header.Get("User-Agent") != "Verigate" {
		t.Errorf("the headers are %v", m.header)
	}
	if got := g.meter.all(); got != "attempt delivered, finished delivered" {
		t.Errorf("counted was %q", got)
	}
}

func TestEveryActiveSecretSigns(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(o *callback.Options) {
		o.Secrets = func(verification.Scope) []secret.Value {
			return []secret.Value{secret.New(whsec("next")), secret.New(whsec("current"))}
		}
	})
	r := receive(t, nil, "current", "next")
	c := g.one(r.URL)
	g.wantWait(c, 0)
	if signatures := strings.Fields((<-r.got).header.Get("webhook-signature")); len(signatures) != 2 {
		t.Errorf("the signatures are %v, want two", signatures)
	}
}

func TestAFailureIsTriedAgainLaterAndLater(t *testing.T) {
	t.Parallel()
	g := newGateway(t, nil)
	r := receive(t, status(500, 503, 404, 302, 204))
	c := g.one(r.URL)
	for i, wait := range []time.Duration{5 * time.Second, 15 * time.Second, 45 * time.Second, 135 * time.Second} {
		g.wantWait(c, wait)
		g.wantState(c, verification.CallbackPending, verification.CallbackStatus, i+1)
		g.wantWait(c, wait) // too early: not tried
		g.clock.move(wait)
	}
	g.wantWait(c, 0)
	g.wantState(c, verification.CallbackDelivered, "", 5)
	g.wantWait(c, 0) // a repeated job
	ids := r.ids()
	if len(ids) != 5 {
		t.Fatalf("%d messages arrived, want 5", len(ids))
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("the same message has the ids %s and %s", ids[0], id)
		}
	}
	attempts, err := g.store.CallbackAttempts(t.Context(), shop, c.ID)
	if err != nil || len(attempts) != 5 || attempts[3].StatusCode != http.StatusFound || attempts[4].Reason != "" || attempts[4].Number != 5 {
		t.Errorf("the attempts are %+v (%v)", attempts, err)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"2":        5 * time.Second,
		"120":      2 * time.Minute,
		"date":     10 * time.Minute,
		"99999999": 24 * time.Hour,
		"soon":     5 * time.Second,
		"-1":       5 * time.Second,
	} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, nil)
			r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
				value := header
				if value == "date" {
					value = g.clock.now().Add(10 * time.Minute).UTC().Format(http.TimeFormat)
				}
				w.Header().Set("Retry-After", value)
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			g.wantWait(g.one(r.URL), want)
		})
	}
}

func TestGoneStopsAtOnce(t *testing.T) {
	t.Parallel()
	g := newGateway(t, nil)
	c := g.one(receive(t, status(410)).URL)
	g.wantWait(c, 0)
	g.wantState(c, verification.CallbackDead, verification.CallbackGone, 1)
	if got := g.meter.all(); got != "attempt gone, finished dead" {
		t.Errorf("counted was %q", got)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(o *callback.Options) { o.Client = &http.Client{Transport: o.Client.Transport} })
	target := receive(t, nil)
	c := g.one(receive(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
	}).URL)
	g.wantWait(c, 5*time.Second)
	g.wantState(c, verification.CallbackPending, verification.CallbackStatus, 1)
	if ids := target.ids(); len(ids) != 0 {
		t.Errorf("the redirect was followed with %v", ids)
	}
}

func TestWhyThereWasNoAnswer(t *testing.T) {
	t.Parallel()
	t.Run("the receiver does not answer in time", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t, func(o *callback.Options) { o.AttemptTimeout = 50 * time.Millisecond })
		c := g.one(receive(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }).URL)
		g.wantWait(c, 5*time.Second)
		g.wantState(c, verification.CallbackPending, verification.CallbackTimeout, 1)
	})
	t.Run("nobody is there", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t, nil)
		r := receive(t, nil)
		r.Close()
		c := g.one(r.URL)
		g.wantWait(c, 5*time.Second)
		g.wantState(c, verification.CallbackPending, verification.CallbackConnection, 1)
	})
	t.Run("the address is private", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t, func(o *callback.Options) { o.Client = outgoing.New(outgoing.Options{}) })
		for _, url := range []string{receive(t, nil).URL, "https://127.0.0.1:1/"} {
			c := g.one(url)
			g.wantWait(c, 5*time.Second)
			g.wantState(c, verification.CallbackPending, verification.CallbackAddressRefused, 1)
		}
	})
}

func TestAfterThreeDaysACallbackIsDeadAndCanBeRetried(t *testing.T) {
	t.Parallel()
	// The breaker has a clock of its own: it is to be closed whenever it is asked.
	g := newGateway(t, func(o *callback.Options) { o.BreakFor = time.Nanosecond })
	r := receive(t, status(500))
	c := g.one(r.URL)
	start, attempts := g.clock.now(), 0
	for range 100 {
		wait, err := g.do(c)
		if err != nil {
			t.Fatal(err)
		}
		attempts++
		if wait == 0 {
			break
		}
		g.clock.move(wait)
	}
	if lived := g.clock.now().Sub(start); lived != 72*time.Hour {
		t.Errorf("the last attempt was made after %s, want three days", lived)
	}
	g.wantState(c, verification.CallbackDead, verification.CallbackExpired, attempts)
	if attempts < 15 || attempts > 30 {
		t.Errorf("%d attempts were made, want about twenty", attempts)
	}
	g.clock.move(time.Second)
	entry, err := verification.NewAuditEntry(shop, verification.Operator{Actor: "key:1"}, verification.AuditRetry, c.ID.String(), nil, g.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.store.RetryCallback(t.Context(), shop, c.ID, entry); err != nil {
		t.Fatal(err)
	}
	// Its waits begin anew.
	g.clock.move(time.Second)
	g.wantWait(c, 5*time.Second)
	g.wantState(c, verification.CallbackPending, verification.CallbackStatus, attempts+1)
}

// forgetful is a store that dies between an attempt and its record.
type forgetful struct {
	callback.Store

	deaths int
}

var errDead = errors.New("the node died")

func (f *forgetful) FinishAttempt(ctx context.Context, c *verification.Callback, a *verification.CallbackAttempt) (bool, error) {
	if f.deaths > 0 {
		f.deaths--
		return false, errDead
	}
	return f.Store.FinishAttempt(ctx, c, a)
}

func TestADeathBeforeTheRecordSendsTheMessageAgain(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(o *callback.Options) { o.Store = &forgetful{o.Store, 1} })
	r := receive(t, nil)
	c := g.one(r.URL)
	if _, err := g.do(c); !errors.Is(err, errDead) {
		t.Fatalf("the job ends with %v", err)
	}
	g.wantWait(c, time.Minute) // for as long as the dead one may be at it
	g.clock.move(time.Minute)
	g.wantWait(c, 0)
	g.wantState(c, verification.CallbackDelivered, "", 2)
	if ids := r.ids(); len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("the messages are %v, want one id twice", ids)
	}
}

func TestWhatCannotBeSentIsNotTried(t *testing.T) {
	t.Parallel()
	t.Run("without a secret", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t, func(o *callback.Options) { o.Secrets = func(verification.Scope) []secret.Value { return nil } })
		r := receive(t, nil)
		c := g.one(r.URL)
		g.wantWait(c, time.Minute)
		g.wantState(c, verification.CallbackPending, verification.CallbackNoSecret, 0)
		g.wantWait(c, time.Minute) // put off, not written again
		g.clock.move(72*time.Hour - time.Second)
		g.wantWait(c, time.Second)
		g.clock.move(time.Second)
		g.wantWait(c, 0)
		g.wantState(c, verification.CallbackDead, verification.CallbackNoSecret, 0)
		if got := g.meter.all(); got != "finished dead" || len(r.ids()) != 0 {
			t.Errorf("counted was %q", got)
		}
	})
	t.Run("with a secret that is none", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t, func(o *callback.Options) {
			o.Secrets = func(verification.Scope) []secret.Value { return []secret.Value{secret.New("not base64!")} }
		})
		c := g.one(receive(t, nil).URL)
		_, err := g.do(c)
		if err == nil || strings.Contains(err.Error(), "not base64") {
			t.Errorf("the error is %v, want one that keeps the secret", err)
		}
		g.wantState(c, verification.CallbackPending, "", 0)
	})
	t.Run("once its subject was erased", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t, nil)
		r := receive(t, nil)
		c := g.one(r.URL)
		err := g.store.InTx(t.Context(), func(tx verification.Tx) error {
			v, err := tx.Lock(t.Context(), shop, c.VerificationID)
			if err != nil {
				return err
			}
			v.CallbackURL, v.EventsCallbackURL, v.EraseTime = "", "", g.clock.now()
			_, err = tx.Erase(t.Context(), v)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		g.wantWait(c, 0)
		g.wantState(c, verification.CallbackDead, verification.CallbackErased, 0)
		if ids := r.ids(); len(ids) != 0 {
			t.Errorf("%v was sent", ids)
		}
	})
}
