package sandbox_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
)

func TestAiPriseDuplicates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, faults string
		bodies       int
	}{
		{"have pre-signed URLs of their own", `{"duplicate":3}`, 4},
		{"have them also where that is said", `{"duplicate":3,"changed_urls":true}`, 4},
		{"repeat the bytes where told so", `{"duplicate":3,"changed_urls":false}`, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := openAiPrise(t, nil)
			l.pass(c.faults)
			bodies, plain := map[string]bool{}, map[string]bool{}
			for range 4 {
				h := take(t, l.callbacks.hooks)
				bodies[h.body], plain[unsigned(h.body)] = true, true
				if h.header.Get("X-HMAC-SIGNATURE") != aipriseSigned(aipriseKey, h.body) {
					t.Errorf("a copy is not signed: %s", h.body)
				}
			}
			if len(bodies) != c.bodies || len(plain) != 1 {
				t.Errorf("%d bodies, %d without URLs", len(bodies), len(plain))
			}
			l.eventTypes(8)
			l.close()
			none(t, l.callbacks.hooks)
			none(t, l.events.hooks)
		})
	}
}

func TestAiPriseRetriesRepeatTheBytes(t *testing.T) {
	t.Parallel()
	l := openAiPrise(t, nil)
	l.callbacks.answerWith(500, 302, 404)
	l.submit(l.session(`{"events_callback_url":null}`), `,"outcome":"pass"`)
	bodies := map[string]bool{}
	for attempt := 1; attempt <= 4; attempt++ {
		bodies[take(t, l.callbacks.hooks).body] = true
		if d := take(t, l.attempts); d.Attempt != attempt || d.Final != (attempt == 4) {
			t.Errorf("attempt %d: %+v", attempt, d)
		}
	}
	if len(bodies) != 1 {
		t.Errorf("%d bodies", len(bodies))
	}
	l.close()
	none(t, l.attempts)
}

func TestAiPriseDelay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		option time.Duration
		faults string
		want   time.Duration
	}{
		{"is 400 ms by default", 0, `{}`, 400 * time.Millisecond},
		{"is the option's", time.Minute, `{}`, time.Minute},
		{"is the fault's where there is one", time.Minute, `{"delay":"2s"}`, 2 * time.Second},
	} {
		t.Run(c.name+", for results and not for the submission", func(t *testing.T) {
			t.Parallel()
			g := newGate()
			l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Wait, o.WebhookDelay = g.wait, c.option })
			l.pass(c.faults)
			if h := take(t, l.events.hooks); h.field(t, "event_type") != "VERIFICATION_REQUEST_SUBMITTED" {
				t.Errorf("first = %s", h.body)
			}
			for range 2 {
				p := take(t, g.calls)
				if p.length != c.want {
					t.Errorf("delay = %v", p.length)
				}
				none(t, l.callbacks.hooks)
				defer close(p.ended)
			}
		})
	}
}

func TestAiPriseReorder(t *testing.T) {
	t.Parallel()
	g := newGate()
	l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Wait, o.Faults.Reorder = g.wait, true })
	id := l.session("")
	l.call(http.MethodGet, "/verify?verification_session_id="+id, "")
	if p := take(t, g.calls); p.length != 5*time.Second {
		t.Errorf("hold = %v", p.length)
	}
	none(t, l.events.hooks)
	// The submission and the final result wait too: at the gate, or at the
	// completion if that was faster.
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for range 2 {
			select {
			case <-g.calls:
			case <-t.Context().Done():
			}
		}
	}()
	t.Cleanup(func() { <-drained })
	l.submit(id, `,"outcome":"pass"`)
	if h := take(t, l.events.hooks); h.field(t, "event_type") != "VERIFICATION_SESSION_COMPLETION" {
		t.Errorf("first = %s", h.body)
	}
	rest := l.eventTypes(2)
	if len(rest) != 2 || take(t, l.callbacks.hooks).body == "" {
		t.Errorf("rest = %v", rest)
	}
}

func TestAiPriseCloseEndsWhatWaits(t *testing.T) {
	t.Parallel()
	g := newGate()
	l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Wait, o.WebhookDelay = g.wait, time.Hour })
	l.submit(l.session(`{"events_callback_url":null}`), `,"outcome":"pass","faults":{"duplicate":5}`)
	take(t, g.calls)
	l.close()
	l.close()
	none(t, l.callbacks.hooks)
	none(t, l.attempts)
}

func TestAiPriseHidesAddressesInErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection refused")
	l := openAiPrise(t, func(o *sandbox.AiPriseOptions) {
		o.Retry.Attempts = 1
		o.HTTP = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, broken })}
	})
	l.pass(`{}`)
	for range 3 {
		if d := take(t, l.attempts); !errors.Is(d.Err, broken) || d.Err.Error() != broken.Error() {
			t.Errorf("delivery = %+v", d)
		}
	}
}

func TestAiPriseQueueTakesAllOrNothing(t *testing.T) {
	t.Parallel()
	g := newGate()
	l := openAiPrise(t, func(o *sandbox.AiPriseOptions) { o.Wait, o.WebhookDelay = g.wait, time.Hour })
	const perRun, limit = 11, 1024
	for range limit / perRun {
		id := l.session(`{"events_callback_url":null}`)
		if a := l.submit(id, `,"outcome":"pass","faults":{"duplicate":10}`); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	// One place is left.
	id := l.session("")
	if a := l.submit(id, `,"outcome":"pass"`); a.status != http.StatusServiceUnavailable {
		t.Errorf("full: got %d %s", a.status, a.body)
	}
	none(t, l.events.hooks)
	l.wantPoll(id, "NOT_STARTED", "UNKNOWN")
	if a := l.submit(id, `,"outcome":"pass","faults":{"profile_mode":true}`); a.status != http.StatusServiceUnavailable {
		t.Errorf("full: got %d %s", a.status, a.body)
	}
	only := l.session(`{"events_callback_url":null}`)
	if a := l.submit(only, `,"outcome":"pass"`); a.status != http.StatusOK {
		t.Errorf("the last place: got %d %s", a.status, a.body)
	}
}
