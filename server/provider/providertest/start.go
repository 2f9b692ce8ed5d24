package providertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verigate/verigate/server/verification"
)

// providerText stands for anything that a provider may write in an answer.
const providerText = "provider-internal-text-4711"

// hugeAnswer is far beyond any answer that an adapter should read, in bytes.
const hugeAnswer = 8 << 20

func runStart(t *testing.T, h Harness) {
	t.Helper()
	t.Run("sends one request and returns the session", func(t *testing.T) { t.Parallel(); h.startsOnce(t) })
	t.Run("keeps the connection's timeout when the provider hangs", func(t *testing.T) { t.Parallel(); h.outlastsHang(t) })
	t.Run("stops when the caller gives up", func(t *testing.T) { t.Parallel(); h.stopsWithCaller(t) })
	t.Run("follows no redirect", func(t *testing.T) { t.Parallel(); h.followsNoRedirect(t) })
	t.Run("is unavailable when nobody listens", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(h.Answer)
		server.Close()
		h.startFails(t, server.URL, verification.KindUnavailable)
	})
	for status, kind := range map[int]verification.Kind{
		http.StatusBadRequest:          verification.KindRefused,
		http.StatusUnauthorized:        verification.KindRefused,
		http.StatusPaymentRequired:     verification.KindRefused,
		http.StatusForbidden:           verification.KindRefused,
		http.StatusUnprocessableEntity: verification.KindRefused,
		http.StatusRequestTimeout:      verification.KindUnavailable,
		http.StatusTooManyRequests:     verification.KindUnavailable,
		http.StatusInternalServerError: verification.KindUnavailable,
		http.StatusBadGateway:          verification.KindUnavailable,
		http.StatusServiceUnavailable:  verification.KindUnavailable,
	} {
		t.Run(fmt.Sprintf("is %s for HTTP status %d, without the provider's text", kind, status), func(t *testing.T) {
			t.Parallel()
			h.startFails(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = fmt.Fprintf(w, `{"error":%q,"message":%q}`, providerText, providerText)
			}), kind)
		})
	}
	for name, answer := range map[string]string{
		"no answer at all":           "",
		"an answer that is not JSON": "<html>" + providerText + "</html>",
		"an empty object":            "{}",
		"a list":                     `["` + providerText + `"]`,
		"an answer cut short":        `{"message":"` + providerText,
		"an endless answer":          `{"message":"` + strings.Repeat(providerText, hugeAnswer/len(providerText)) + `"}`,
	} {
		t.Run("is unavailable for "+name, func(t *testing.T) {
			t.Parallel()
			h.startFails(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, answer)
			}), verification.KindUnavailable)
		})
	}
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// withPatience bounds a test whose adapter may hang; ending by it is a failure.
func withPatience(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), patience)
}

func (h Harness) startsOnce(t *testing.T) {
	t.Helper()
	var requests atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		h.CheckStart(t, r, body)
		h.Answer(w, r)
	})
	p, log := h.openAt(t, url, generous)
	session, err := p.Start(t.Context(), h.Start)
	if err != nil {
		t.Fatalf("Start: %v (%v)", err, errors.Unwrap(err))
	}
	if !reflect.DeepEqual(session, h.Session) {
		t.Errorf("Start:\n got %+v\nwant %+v", session, h.Session)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("Start sent %d requests, want 1", n)
	}
	refuseText(t, "the log", log.String(), currentSecret, previousSecret)
}

// startFails checks the error that Start returns for what listens at url.
func (h Harness) startFails(t *testing.T, url string, kind verification.Kind) {
	t.Helper()
	p, log := h.openAt(t, url, generous)
	session, err := p.Start(t.Context(), h.Start)
	checkFailure(t, err, kind)
	if !reflect.DeepEqual(session, verification.Session{}) {
		t.Errorf("Start returns a session with its error: %+v", session)
	}
	refuseText(t, "the log", log.String(), providerText, currentSecret, previousSecret)
}

func checkFailure(t *testing.T, err error, kind verification.Kind) {
	t.Helper()
	failure, ok := errors.AsType[*verification.Error](err)
	if !ok {
		t.Fatalf("Start: got %v, want a *verification.Error", err)
	}
	if failure.Kind != kind || failure.Reason == "" || failure.Message == "" {
		t.Errorf("Start: got kind %q, reason %q, message %q; want kind %q and the other two",
			failure.Kind, failure.Reason, failure.Message, kind)
	}
	refuseText(t, "the public error", failure.Reason+" "+failure.Message+" "+err.Error(), providerText)
	for cause := errors.Unwrap(failure); cause != nil; cause = errors.Unwrap(cause) {
		refuseText(t, "the cause", cause.Error(), currentSecret, previousSecret)
	}
}

// outlastsHang opens the adapter with a short timeout and a provider that never
// answers. Not the caller's deadline but the adapter's own must end the call.
func (h Harness) outlastsHang(t *testing.T) {
	t.Helper()
	const short = 50 * time.Millisecond
	p, _ := h.openAt(t, hang(t, func() {}), short)
	ctx, cancel := withPatience(t)
	defer cancel()
	_, err := p.Start(ctx, h.Start)
	if ctx.Err() != nil {
		t.Fatalf("Start waited for the caller's deadline instead of its own: %v", err)
	}
	checkFailure(t, err, verification.KindUnavailable)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		t.Errorf("the adapter's own timeout looks like the caller's: %v", err)
	}
}

// stopsWithCaller cancels the call once the provider has it.
func (h Harness) stopsWithCaller(t *testing.T) {
	t.Helper()
	ctx, cancel := withPatience(t)
	defer cancel()
	p, _ := h.openAt(t, hang(t, cancel), generous)
	_, err := p.Start(ctx, h.Start)
	checkFailure(t, err, verification.KindUnavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the caller's cancellation is not in the error's chain: %v (%v)", err, errors.Unwrap(err))
	}
}

// hang serves a provider that takes a request, tells so, and answers only when
// the test is over.
func hang(t *testing.T, taken func()) string {
	t.Helper()
	over := make(chan struct{})
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		taken()
		select {
		case <-over:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(over) })
	return url
}

func (h Harness) followsNoRedirect(t *testing.T) {
	t.Helper()
	var followed atomic.Int32
	elsewhere := serve(t, func(w http.ResponseWriter, r *http.Request) {
		followed.Add(1)
		h.Answer(w, r)
	})
	for _, status := range []int{
		http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
	} {
		h.startFails(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+"/"+providerText, status)
		}), verification.KindUnavailable)
	}
	if n := followed.Load(); n != 0 {
		t.Errorf("Start followed %d redirects", n)
	}
}
