package enduser_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verigate/verigate/server/access/enduser"
)

// These tests wait, in a bubble where only the test's own time passes. Real
// HTTP goes over pipes, because sockets are outside of the bubble.

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bubble is an issuer and a verifier in a bubble; end closes both.
type bubble struct {
	*enduser.Verifier

	issuer *issuer
	signer signer
	token  string
	end    func()
}

func newBubble(t *testing.T) *bubble {
	t.Helper()
	signer := newSigner(t, "ES256", "k")
	i := &issuer{
		url: "http://127.0.0.1", keys: []jwk{signer.published(t)},
		lies: map[string]http.HandlerFunc{}, hits: map[string]int{},
	}
	listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: i}
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(listener) })
	transport := &http.Transport{DialContext: listener.dial}
	v, err := enduser.New([]enduser.Config{configOf(i.url)}, enduser.Deps{
		HTTP: &http.Client{Transport: transport}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &bubble{
		Verifier: v, issuer: i, signer: signer, token: goodDraft(i.url, time.Now()).sign(t, signer),
		end: func() {
			transport.CloseIdleConnections()
			_ = server.Close()
			served.Wait()
		},
	}
}

// hang never answers.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// drip writes spaces for ever, one a second.
func drip(w http.ResponseWriter, r *http.Request) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-second.C:
			if _, err := w.Write([]byte(" ")); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func TestAnIssuerThatNeverFinishesIsLeftAfterFiveSeconds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path string
		lie  http.HandlerFunc
	}{
		"an endless slow key set":            {"/keys", drip},
		"an endless slow discovery document": {discoveryPath, drip},
		"no answer at all":                   {"/keys", hang},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(t)
				defer b.end()
				b.issuer.lie(c.path, c.lie)
				began := time.Now()
				_, err := b.Verify(t.Context(), b.token)
				if took := time.Since(began); !errors.Is(err, enduser.ErrUnavailable) || took != 5*time.Second {
					t.Errorf("got %v after %s", err, took)
				}
				if _, err := b.Verify(t.Context(), b.token); !errors.Is(err, enduser.ErrUnavailable) || time.Since(began) != 5*time.Second {
					t.Errorf("the next caller got %v after %s, want the same at once", err, time.Since(began))
				}
			})
		})
	}
}

func TestManyCallersShareOneFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		defer b.end()
		open := make(chan struct{})
		b.issuer.lie("/keys", func(w http.ResponseWriter, r *http.Request) {
			<-open
			b.issuer.lie("/keys", nil)
			b.issuer.ServeHTTP(w, r)
		})
		const callers = 50
		results := make(chan error, callers)
		for range callers {
			go func() {
				_, err := b.Verify(t.Context(), b.token)
				results <- err
			}()
		}
		synctest.Wait()
		if len(results) != 0 {
			t.Errorf("%d callers did not wait", len(results))
		}
		close(open)
		for range callers {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		// The handler that waited counted, and so did the one that it called.
		if got := b.issuer.fetches(); got != 2 || b.issuer.discoveries() != 1 {
			t.Errorf("%d fetches by %d discoveries, want one", got-1, b.issuer.discoveries())
		}
	})
}

func TestACallerWhoLeavesDoesNotSpoilTheFetchForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		defer b.end()
		open := make(chan struct{})
		b.issuer.lie("/keys", func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-open:
			case <-r.Context().Done():
			}
			b.issuer.lie("/keys", nil)
			b.issuer.ServeHTTP(w, r)
		})
		call := func(ctx context.Context) <-chan error {
			result := make(chan error, 1)
			go func() {
				_, err := b.Verify(ctx, b.token)
				result <- err
			}()
			synctest.Wait()
			return result
		}
		leaving, leave := context.WithCancel(t.Context())
		first := call(leaving)
		staying := call(t.Context())
		other, leaveToo := context.WithCancel(t.Context())
		third := call(other)
		leave()
		leaveToo()
		synctest.Wait()
		if err := <-third; !errors.Is(err, enduser.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("who left while waiting got %v", err)
		}
		if len(first)+len(staying) != 0 {
			t.Error("the fetch ended with its caller")
		}
		close(open)
		if err := <-staying; err != nil {
			t.Errorf("who stayed got %v", err)
		}
		if err := <-first; err != nil {
			t.Errorf("who fetched got %v", err)
		}
	})
}

func TestKnownKeysAreNotHeldUpByASearchForAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		defer b.end()
		if _, err := b.Verify(t.Context(), b.token); err != nil {
			t.Fatal(err)
		}
		b.issuer.lie("/keys", hang)
		time.AfterFunc(time.Second, func() {
			began := time.Now()
			if _, err := b.Verify(t.Context(), b.token); err != nil || time.Since(began) != 0 {
				t.Errorf("a known key took %s: %v", time.Since(began), err)
			}
		})
		<-time.After(aMoment)
		unknown := goodDraft(b.issuer.url, time.Now()).head("kid", "other").sign(t, b.signer)
		if _, err := b.Verify(t.Context(), unknown); !errors.Is(err, enduser.ErrUnavailable) {
			t.Errorf("the unknown key: %v", err)
		}
	})
}
