package enduser_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verigate/verigate/server/access/enduser"
)

// The keys are known, and their issuer hangs.

// knownFor returns a bubble whose keys were fetched so long ago, and whose
// issuer has hung since.
func knownFor(t *testing.T, age time.Duration) *bubble {
	t.Helper()
	b := newBubble(t)
	if _, err := b.Verify(t.Context(), b.token); err != nil {
		t.Fatal(err)
	}
	b.issuer.lie("/keys", hang)
	<-time.After(age)
	return b
}

// timed calls with a good token and says how long it took. The token must be
// accepted.
func (b *bubble) timed(t *testing.T) time.Duration {
	t.Helper()
	token := goodDraft(b.issuer.url, time.Now()).sign(t, b.signer)
	began := time.Now()
	if _, err := b.Verify(t.Context(), token); err != nil {
		t.Errorf("refused at %s: %v", began, err)
	}
	return time.Since(began)
}

func TestWhileKnownKeysAreGoodOneCallAMinuteWaitsForAnIssuerThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := knownFor(t, 11*time.Minute)
		defer b.end()
		for try := range 3 {
			waiting := make(chan time.Duration, 1)
			go func() { waiting <- b.timed(t) }()
			synctest.Wait()
			if len(waiting) != 0 {
				t.Fatalf("try %d: nobody asked the issuer", try)
			}
			for second := range 5 {
				for range 10 {
					if took := b.timed(t); took != 0 {
						t.Errorf("try %d: a call in second %d of the fetch took %s", try, second, took)
					}
				}
				<-time.After(time.Second)
			}
			if took := <-waiting; took != 5*time.Second {
				t.Errorf("try %d: the call that fetched took %s", try, took)
			}
			for second := range 59 {
				<-time.After(time.Second)
				if took := b.timed(t); took != 0 {
					t.Errorf("try %d: a call %d seconds after it failed took %s", try, second+1, took)
				}
			}
			<-time.After(time.Second)
		}
		if got := b.issuer.fetches(); got != 4 {
			t.Errorf("%d fetches, want the first and one for each try", got)
		}
	})
}

func TestAnIssuerThatHangsShutsNobodyOutForAnHourAndEverybodyAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := knownFor(t, 10*time.Minute)
		defer b.end()
		began, slow := time.Now(), 0
		// The last call that fetches begins early enough to be done within the hour.
		for time.Since(began) < 50*time.Minute-5*time.Second {
			if b.timed(t) != 0 {
				slow++
			}
			<-time.After(10 * time.Second)
		}
		if want := b.issuer.fetches() - 1; slow != want || slow > 50 {
			t.Errorf("%d calls waited, want %d: one for each of the fetches, at most one a minute", slow, want)
		}
		<-time.After(5 * time.Second)
		token := goodDraft(b.issuer.url, time.Now()).sign(t, b.signer)
		if _, err := b.Verify(t.Context(), token); !errors.Is(err, enduser.ErrUnavailable) {
			t.Errorf("after the hour: %v", err)
		}
		b.issuer.lie("/keys", nil)
		<-time.After(5 * time.Second)
		if took := b.timed(t); took != 0 {
			t.Errorf("after the issuer came back it took %s", took)
		}
	})
}

func TestAnIssuerThatComesBackIsNoticedWithinAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := knownFor(t, 10*time.Minute)
		defer b.end()
		if took := b.timed(t); took != 5*time.Second {
			t.Errorf("the call that fetched took %s", took)
		}
		// The key is withdrawn as well: it is good until that is known.
		b.issuer.publish(newSigner(t, "ES256", "next").published(t))
		b.issuer.lie("/keys", nil)
		<-time.After(time.Minute - aMoment)
		if took := b.timed(t); took != 0 {
			t.Errorf("a call before the next try took %s", took)
		}
		<-time.After(aMoment)
		token := goodDraft(b.issuer.url, time.Now()).sign(t, b.signer)
		if _, err := b.Verify(t.Context(), token); !errors.Is(err, enduser.ErrRefused) {
			t.Errorf("the withdrawn key after a minute: %v", err)
		}
	})
}

func TestASearchForAnUnknownKeyHoldsUpNobodyWhoseKeyIsKnownAndOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := knownFor(t, 11*time.Minute)
		defer b.end()
		b.timed(t)
		for try := range 6 {
			<-time.After(5 * time.Second)
			searching := make(chan error, 1)
			go func() {
				unknown := goodDraft(b.issuer.url, time.Now()).head("kid", "other").sign(t, b.signer)
				_, err := b.Verify(t.Context(), unknown)
				searching <- err
			}()
			synctest.Wait()
			if len(searching) != 0 {
				t.Fatalf("try %d: the unknown key was not searched for: %v", try, <-searching)
			}
			if took := b.timed(t); took != 0 {
				t.Errorf("try %d: a known key took %s during the search", try, took)
			}
			if err := <-searching; !errors.Is(err, enduser.ErrUnavailable) {
				t.Errorf("try %d: the unknown key: %v", try, err)
			}
			if took := b.timed(t); took != 0 {
				t.Errorf("try %d: a known key took %s after the search", try, took)
			}
		}
	})
}
