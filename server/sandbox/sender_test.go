package sandbox_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
)

func TestDelay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		option time.Duration
		faults string
		want   time.Duration
	}{
		{"is 400 ms by default", 0, "", 400 * time.Millisecond},
		{"is the option's", time.Minute, "", time.Minute},
		{"is the fault's where there is one", time.Minute, `{"delay":"2s"}`, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGate()
			l := open(t, func(o *sandbox.Options) { o.Wait, o.WebhookDelay = g.wait, c.option })
			l.complete(l.token(identity), "pass", c.faults)
			p := take(t, g.calls)
			if p.length != c.want {
				t.Errorf("delay = %v", p.length)
			}
			none(t, l.receiver.hooks)
			close(p.ended)
			take(t, l.receiver.hooks)
		})
	}

	t.Run("of zero is no wait at all", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		l := open(t, func(o *sandbox.Options) { o.Wait, o.WebhookDelay = g.wait, time.Minute })
		l.complete(l.token(identity), "pass", `{"delay":"0s"}`)
		take(t, l.receiver.hooks)
	})
}

func TestTimerIsTheDefaultWait(t *testing.T) {
	t.Parallel()
	l := open(t, func(o *sandbox.Options) { o.Wait, o.WebhookDelay = nil, time.Millisecond })
	l.run("pass", "")
}

func TestRetries(t *testing.T) {
	t.Parallel()

	t.Run("go on until the receiver takes it", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		l.receiver.answerWith(500, 302, 404)
		h := l.run("pass", "")
		var statuses []int
		ids := map[string]bool{}
		for attempt := 1; attempt <= 4; attempt++ {
			d := take(t, l.attempts)
			statuses = append(statuses, d.StatusCode)
			ids[d.DeliveryID] = true
			if d.Attempt != attempt || d.VerificationID != h.field(t, "verification_id") ||
				d.Final != (attempt == 4) {
				t.Errorf("attempt %d: %+v", attempt, d)
			}
		}
		if !slices.Equal(statuses, []int{500, 302, 404, 200}) || len(ids) != 4 {
			t.Errorf("statuses %v, delivery ids %v", statuses, ids)
		}
		closeNow(t, l)
		none(t, l.attempts)
	})

	t.Run("pause twice as long each time and give up after five attempts", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		l := open(t, func(o *sandbox.Options) { o.Wait, o.Retry.Base = g.wait, 3*time.Second })
		l.receiver.answerWith(500, 500, 500, 500, 500, 500)
		l.run("pass", "")
		for _, want := range []time.Duration{3 * time.Second, 6 * time.Second, 12 * time.Second, 24 * time.Second} {
			p := take(t, g.calls)
			if p.length != want {
				t.Errorf("pause = %v, want %v", p.length, want)
			}
			close(p.ended)
		}
		for attempt := 1; attempt <= 5; attempt++ {
			if d := take(t, l.attempts); d.Attempt != attempt || d.Final != (attempt == 5) {
				t.Errorf("delivery = %+v", d)
			}
		}
		closeNow(t, l)
		none(t, l.attempts)
	})

	t.Run("follow no answer in time", func(t *testing.T) {
		t.Parallel()
		l := open(t, func(o *sandbox.Options) {
			o.Retry = sandbox.Retry{Attempts: 2, Timeout: 50 * time.Millisecond}
			o.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})}
		})
		l.complete(l.token(identity), "pass", "")
		for range 2 {
			if d := take(t, l.attempts); !errors.Is(d.Err, context.DeadlineExceeded) || d.OK() || d.StatusCode != 0 {
				t.Errorf("delivery = %+v", d)
			}
		}
	})

	t.Run("follow a refused connection, whose error hides the URL", func(t *testing.T) {
		t.Parallel()
		broken := errors.New("connection refused")
		l := open(t, func(o *sandbox.Options) {
			o.WebhookURL = "http://127.0.0.1:1/hook?secret=s3cr3t"
			o.Retry.Attempts = 1
			o.HTTP = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, broken })}
		})
		l.complete(l.token(identity), "pass", "")
		if d := take(t, l.attempts); !errors.Is(d.Err, broken) || d.Err.Error() != broken.Error() {
			t.Errorf("delivery = %+v", d)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestDuplicates(t *testing.T) {
	t.Parallel()
	l := open(t, func(o *sandbox.Options) { o.Faults.Shape = sandbox.ShapeEnvelope })
	l.complete(l.token(identity), "pass", `{"duplicate":3}`)
	bodies, deliveries, copies := map[string]bool{}, map[string]bool{}, map[int]bool{}
	for range 4 {
		h, d := take(t, l.receiver.hooks), take(t, l.attempts)
		bodies[h.body] = true
		deliveries[h.header.Get("X-VerifyHuman-Delivery-Id")] = true
		copies[d.Copy] = true
	}
	if len(bodies) != 1 || len(deliveries) != 4 || len(copies) != 4 {
		t.Errorf("%d bodies, %d delivery ids, copies %v", len(bodies), len(deliveries), copies)
	}
	closeNow(t, l)
	none(t, l.receiver.hooks)
}

func TestDrop(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	a := l.complete(l.token(identity), "pass", `{"drop":true}`)
	if a.status != http.StatusOK {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if d := take(t, l.attempts); !d.Dropped || d.Attempt != 0 || d.VerificationID == "" {
		t.Errorf("delivery = %+v", d)
	}
	closeNow(t, l)
	none(t, l.receiver.hooks)
}

func TestReorder(t *testing.T) {
	t.Parallel()

	t.Run("holds a webhook and its copies until the next event was sent", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		l := open(t, func(o *sandbox.Options) { o.Wait = g.wait })
		l.complete(l.token(identity), "pass", `{"reorder":true,"duplicate":1}`)
		for range 2 {
			if p := take(t, g.calls); p.length != 5*time.Second {
				t.Errorf("hold = %v", p.length)
			}
		}
		none(t, l.receiver.hooks)
		l.complete(l.token(identity), "fail", "")
		for _, want := range []string{"FAIL", "PASS", "PASS"} {
			if got := take(t, l.receiver.hooks).field(t, "status"); got != want {
				t.Errorf("status = %q, want %q", got, want)
			}
		}
	})

	t.Run("ends after five seconds when nothing follows", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		l := open(t, func(o *sandbox.Options) { o.Wait = g.wait })
		l.complete(l.token(identity), "pass", `{"reorder":true}`)
		p := take(t, g.calls)
		none(t, l.receiver.hooks)
		close(p.ended)
		take(t, l.receiver.hooks)
	})

	t.Run("is not ended by an event that was lost", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		l := open(t, func(o *sandbox.Options) { o.Wait = g.wait })
		l.complete(l.token(identity), "pass", `{"reorder":true}`)
		p := take(t, g.calls)
		l.complete(l.token(identity), "fail", `{"drop":true}`)
		if d := take(t, l.attempts); !d.Dropped {
			t.Errorf("delivery = %+v", d)
		}
		none(t, l.receiver.hooks)
		close(p.ended)
		take(t, l.receiver.hooks)
	})
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	g := newGate()
	l := open(t, func(o *sandbox.Options) { o.Wait, o.WebhookDelay = g.wait, time.Hour })
	const perRun, limit = 11, 1024
	for range limit / perRun {
		if a := l.complete(l.token(identity), "pass", `{"duplicate":10}`); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	token := l.token(identity)
	if a := l.complete(token, "pass", `{"duplicate":10}`); a.status != http.StatusServiceUnavailable {
		t.Errorf("full: got %d %s", a.status, a.body)
	}
	if a := l.complete(token, "pass", ""); a.status != http.StatusOK {
		t.Errorf("the session was used up: %d %s", a.status, a.body)
	}
}
