package sandbox_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
)

func TestClose(t *testing.T) {
	t.Parallel()

	t.Run("ends deliveries that wait, and can be repeated", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		l := open(t, func(o *sandbox.Options) { o.Wait, o.WebhookDelay = g.wait, time.Hour })
		l.complete(l.token(identity), "pass", `{"duplicate":5}`)
		take(t, g.calls)
		closeNow(t, l)
		closeNow(t, l)
		none(t, l.receiver.hooks)
		none(t, l.attempts)
	})

	t.Run("ends deliveries that are held", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		l := open(t, func(o *sandbox.Options) { o.Wait = g.wait })
		l.complete(l.token(identity), "pass", `{"reorder":true}`)
		take(t, g.calls)
		closeNow(t, l)
		none(t, l.receiver.hooks)
	})

	t.Run("ends requests under way", func(t *testing.T) {
		t.Parallel()
		under := make(chan struct{})
		l := open(t, func(o *sandbox.Options) {
			o.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				close(under)
				<-r.Context().Done()
				return nil, r.Context().Err()
			})}
		})
		l.complete(l.token(identity), "pass", "")
		take(t, under)
		closeNow(t, l)
		if d := take(t, l.attempts); !errors.Is(d.Err, context.Canceled) || d.Attempt != 1 {
			t.Errorf("delivery = %+v", d)
		}
	})

	t.Run("waits no longer than its context", func(t *testing.T) {
		t.Parallel()
		under, letGo := make(chan struct{}), make(chan struct{})
		l := open(t, func(o *sandbox.Options) {
			o.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				close(under)
				<-letGo
				return nil, r.Context().Err()
			})}
		})
		l.complete(l.token(identity), "pass", "")
		take(t, under)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.emulator.Close(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("Close: %v", err)
		}
		close(letGo)
		closeNow(t, l)
	})

	t.Run("refuses what would send a webhook afterwards", func(t *testing.T) {
		t.Parallel()
		l := open(t, nil)
		token := l.token(identity)
		closeNow(t, l)
		if a := l.complete(token, "pass", ""); a.status != http.StatusServiceUnavailable {
			t.Errorf("complete: got %d %s", a.status, a.body)
		}
		if a := l.control(http.MethodPost, "/test-ping", ""); a.status != http.StatusServiceUnavailable {
			t.Errorf("ping: got %d %s", a.status, a.body)
		}
	})
}

func closeNow(t *testing.T, l *lab) {
	t.Helper()
	if err := l.emulator.Close(t.Context()); err != nil {
		t.Fatalf("Close: %v", err)
	}
}
