package verification

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// openedAtNoon has an hour to live and ten minutes of grace.
func openedAtNoon(state State, fetches int) *Verification {
	return &Verification{
		State: state, Fetches: fetches, HostedURL: "https://provider.example.com/v/1",
		CreateTime: noon, ExpireTime: noon.Add(time.Hour), GraceUntil: noon.Add(70 * time.Minute),
	}
}

func TestTheRulesSayWhenAProviderIsAskedNext(t *testing.T) {
	t.Parallel()
	const after = 2 * time.Minute
	erased := openedAtNoon(Processing, 0)
	erased.EraseTime = noon
	unopened := openedAtNoon(Processing, 0)
	unopened.HostedURL = ""
	bound := openedAtNoon(Processing, 0)
	bound.HostedURL, bound.BindTime = "", noon
	short := openedAtNoon(Pending, 0)
	short.ExpireTime, short.GraceUntil = noon.Add(4*time.Minute), noon.Add(20*time.Minute)
	graceless := openedAtNoon(Pending, 1)
	graceless.GraceUntil = graceless.ExpireTime
	const never = -1
	for _, c := range []struct {
		name string
		v    *Verification
		// at is the minute of now, want that of the next fetch, after noon.
		at, spread, want float64
	}{
		{"the page waits: shortly before expiry", openedAtNoon(Pending, 0), 0, 0, 58},
		{"the page of a short life waits: a quarter of it before its end", short, 0, 0, 3},
		{"the person is done: after the flow's time", openedAtNoon(Processing, 0), 10, 0, 12},
		{"not later than the one before expiry", openedAtNoon(Processing, 0), 57, 0, 58},
		{"nothing was brought: twice as long", openedAtNoon(Processing, 1), 10, 0, 14},
		{"nothing was brought again: four times as long", openedAtNoon(Processing, 2), 10, 0, 18},
		{"a repeated wait is stretched", openedAtNoon(Processing, 1), 10, 0.2, 14.8},
		{"a repeated wait is shortened", openedAtNoon(Processing, 1), 10, -0.2, 13.2},
		{"the first wait is as the flow says", openedAtNoon(Processing, 0), 10, 0.2, 12},
		{"the backoff ends at the one before expiry", openedAtNoon(Processing, 6), 10, 0, 58},
		{"however often it was asked", openedAtNoon(Processing, 1_000_000), 10, 0.2, 58},
		{"a review is given time", openedAtNoon(InReview, 0), 10, 0, 25},
		{"a review that lasts is given more", openedAtNoon(InReview, 1), 10, 0, 40},
		{"after the one before expiry: once it expired", openedAtNoon(Pending, 1), 58, 0, 62},
		{"back in the last minutes: once it expired", openedAtNoon(Processing, 0), 58.5, 0, 62},
		{"expired: after the flow's time", openedAtNoon(Expired, 0), 60, 0, 62},
		{"expired, and nobody noticed yet: the same", openedAtNoon(Processing, 0), 61, 0, 63},
		{"expired and asked: twice as long", openedAtNoon(Expired, 1), 62, 0, 66},
		{"the last one shortly before the grace period ends", openedAtNoon(Expired, 2), 66, 0, 68},
		{"nothing after the last one", openedAtNoon(Expired, 3), 68, 0, never},
		{"nothing after the grace period", openedAtNoon(Expired, 0), 70, 0, never},
		{"nothing after expiry without a grace period", graceless, 59, 0, never},
		{"bound by a webhook before the start was recorded", bound, 10, 0, 12},
		{"never opened", unopened, 10, 0, never},
		{"erased", erased, 10, 0, never},
		{"approved", openedAtNoon(Approved, 0), 10, 0, never},
		{"declined", openedAtNoon(Declined, 0), 10, 0, never},
		{"canceled", openedAtNoon(Canceled, 0), 10, 0, never},
		{"failed", openedAtNoon(Failed, 0), 10, 0, never},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := nextFetch(c.v, after, minute(c.at), c.spread)
			if c.want == never {
				if !got.IsZero() {
					t.Fatalf("it is asked at %s, want never", got)
				}
				return
			}
			if want := minute(c.want); !got.Equal(want) {
				t.Fatalf("it is asked at %s, want %s", got, want)
			}
		})
	}
}

func minute(m float64) time.Time { return noon.Add(time.Duration(m * float64(time.Minute))) }

func TestALongFlowTimeIsNotCutToTheBackoffsCap(t *testing.T) {
	t.Parallel()
	v := openedAtNoon(Processing, 3)
	v.ExpireTime, v.GraceUntil = noon.Add(240*time.Hour), noon.Add(241*time.Hour)
	for after, want := range map[time.Duration]time.Duration{
		10 * time.Minute: time.Hour, 3 * time.Hour: 3 * time.Hour,
	} {
		if got := nextFetch(v, after, noon, 0).Sub(noon); got != want {
			t.Errorf("after %s, the fourth wait is %s, want %s", after, got, want)
		}
	}
}

func TestNothingIsAskedInThePastOrInVain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		span := func(name string, low, high time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(int64(low), int64(high)).Draw(t, name))
		}
		v := openedAtNoon(rapid.SampledFrom(States()).Draw(t, "state"), rapid.IntRange(0, 50).Draw(t, "fetches"))
		v.ExpireTime = noon.Add(span("lifetime", time.Second, 48*time.Hour))
		v.GraceUntil = v.ExpireTime.Add(span("grace", 0, 48*time.Hour))
		if rapid.Bool().Draw(t, "erased") {
			v.EraseTime = noon
		}
		after := span("after", 100*time.Millisecond, 24*time.Hour)
		now := noon.Add(span("now", 0, 100*time.Hour))
		spread := rapid.Float64Range(-fetchJitter, fetchJitter).Draw(t, "spread")
		next := nextFetch(v, after, now, spread)

		open := v.State == Created || v.State == Pending || v.State == Processing || v.State == InReview
		switch {
		case !v.EraseTime.IsZero(), !open && v.State != Expired, !now.Before(v.GraceUntil):
			if !next.IsZero() {
				t.Fatalf("what is over is asked about at %s", next)
			}
			return
		case next.IsZero():
			if open && now.Before(noon.Add(v.ExpireTime.Sub(noon)/2)) {
				t.Fatal("an open one with half its life left is never asked about")
			}
			return
		}
		if !next.After(now) || !next.Before(v.GraceUntil) {
			t.Fatalf("it is asked about at %s, now is %s and the grace period ends %s", next, now, v.GraceUntil)
		}
		last := v.ExpireTime.Add(-min(after, v.ExpireTime.Sub(noon)/4))
		if open && now.Before(last) && next.After(last) {
			t.Fatalf("the next one is at %s, which leaves out the one before expiry at %s", next, last)
		}
	})
}
