package returnleg_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/returnleg"
	"github.com/verigate/verigate/server/transport"
	"github.com/verigate/verigate/server/verification"
)

// person answers a return and remembers it.
type person struct {
	target string
	err    error
	seen   []verification.Return
	// limit is what a full address gets, and buckets are the addresses that were
	// asked about.
	limit   error
	buckets []string
}

func (p *person) Returned(_ context.Context, r verification.Return) (string, error) {
	p.seen = append(p.seen, r)
	return p.target, p.err
}

// Address implements returnleg.Limits.
func (p *person) Address(bucket string) error {
	p.buckets = append(p.buckets, bucket)
	return p.limit
}

// visit makes one request from 192.0.2.1.
func visit(t *testing.T, p *person, method, path string) *http.Response {
	t.Helper()
	mux := http.NewServeMux()
	(&returnleg.Handler{Returner: p, Limits: p, Log: slog.New(slog.DiscardHandler)}).Mount(mux)
	recorder := httptest.NewRecorder()
	noProxies := func() transport.Addresses { return transport.Addresses{} }
	transport.WithAddress(mux, noProxies).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	response := recorder.Result()
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestAReturnRedirectsToTheApp(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"myapp://done", "myapp://done/a?b=c#d", "https://app.example.com/done?x=%20y"} {
		p := &person{target: target}
		response := visit(t, p, http.MethodGet, "/return/n0nce")
		if response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != target {
			t.Errorf("%s: %d to %q", target, response.StatusCode, response.Header.Get("Location"))
		}
		if len(p.seen) != 1 || p.seen[0].Nonce != "n0nce" || p.seen[0].Failure {
			t.Errorf("%s: the domain heard %+v", target, p.seen)
		}
	}
}

func TestTheFailureLegSaysSo(t *testing.T) {
	t.Parallel()
	p := &person{target: "myapp://sorry"}
	visit(t, p, http.MethodGet, "/return/n0nce/failure?status=pass")
	if len(p.seen) != 1 || !p.seen[0].Failure || p.seen[0].Query.Get("status") != "pass" {
		t.Errorf("the domain heard %+v", p.seen)
	}
}

func TestWithoutATargetThePersonStaysOnAPage(t *testing.T) {
	t.Parallel()
	if response := visit(t, &person{}, http.MethodGet, "/return/n0nce"); response.StatusCode != http.StatusOK {
		t.Errorf("answered %d", response.StatusCode)
	}
}

func TestFailuresAreFriendlyPagesWithoutDetails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"a nonce of nobody":  {verification.ErrNotFound, http.StatusNotFound},
		"an absent database": {errors.New("marked detail"), http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response := visit(t, &person{err: c.err}, http.MethodGet, "/return/n0nce")
			var body strings.Builder
			if err := response.Write(&body); err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != c.want || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
				t.Errorf("answered %d as %s", response.StatusCode, response.Header.Get("Content-Type"))
			}
			if strings.Contains(body.String(), "marked") || strings.Contains(body.String(), "n0nce") {
				t.Errorf("the page repeats what it should not: %s", body.String())
			}
			if (response.Header.Get("Retry-After") != "") != (c.want == http.StatusServiceUnavailable) {
				t.Errorf("Retry-After is %q", response.Header.Get("Retry-After"))
			}
		})
	}
}

func TestALookIsNoReturn(t *testing.T) {
	t.Parallel()
	p := &person{target: "myapp://done"}
	response := visit(t, p, http.MethodHead, "/return/n0nce")
	if response.StatusCode != http.StatusNoContent || response.Header.Get("Location") != "" || len(p.seen) != 0 {
		t.Errorf("HEAD: %d to %q, the domain heard %+v", response.StatusCode, response.Header.Get("Location"), p.seen)
	}
}

func TestOnlyGetIsAReturn(t *testing.T) {
	t.Parallel()
	p := &person{target: "myapp://done"}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		if response := visit(t, p, method, "/return/n0nce"); response.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, response.StatusCode)
		}
	}
	if len(p.seen) != 0 {
		t.Errorf("the domain heard %+v", p.seen)
	}
}

func TestOtherPathsAreNotReturns(t *testing.T) {
	t.Parallel()
	p := &person{target: "myapp://done"}
	for _, path := range []string{"/return", "/return/", "/return/a/b", "/return/a/failure/b"} {
		if response := visit(t, p, http.MethodGet, path); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
	if len(p.seen) != 0 {
		t.Errorf("the domain heard %+v", p.seen)
	}
}

func TestEveryAnswerKeepsTheLinkToItself(t *testing.T) {
	t.Parallel()
	full := verification.NewError(verification.KindLimited, "RATE_LIMITED", "later")
	for _, p := range []*person{
		{target: "myapp://done"}, {}, {err: verification.ErrNotFound}, {err: errors.New("no database")}, {limit: full},
	} {
		header := visit(t, p, http.MethodGet, "/return/n0nce").Header
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy":    "default-src 'none'; frame-ancestors 'none'",
			"Cross-Origin-Opener-Policy": "unsafe-none",
		} {
			if header.Get(name) != want {
				t.Errorf("%s is %q, want %q", name, header.Get(name), want)
			}
		}
	}
}

func TestAnAddressThatComesBackTooOftenGetsAPage(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/return/n0nce", "/return/n0nce/failure"} {
		p := &person{target: "myapp://done", limit: verification.NewError(verification.KindLimited, "RATE_LIMITED", "marked detail")}
		response := visit(t, p, http.MethodGet, path)
		var text strings.Builder
		if err := response.Write(&text); err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") == "" ||
			!strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") || response.Header.Get("Location") != "" {
			t.Errorf("%s: answered %s", path, text.String())
		}
		if !strings.Contains(text.String(), "try again") || strings.Contains(text.String(), "marked") || strings.Contains(text.String(), "n0nce") {
			t.Errorf("%s: the page says %s", path, text.String())
		}
		if len(p.seen) != 0 || len(p.buckets) != 1 || p.buckets[0] != "192.0.2.1" {
			t.Errorf("%s: the domain heard %+v, the limit was asked about %v", path, p.seen, p.buckets)
		}
	}
}

func TestALookTakesNothingFromTheLimit(t *testing.T) {
	t.Parallel()
	p := &person{}
	visit(t, p, http.MethodHead, "/return/n0nce")
	if len(p.buckets) != 0 {
		t.Errorf("the limit was asked about %v", p.buckets)
	}
}

func TestALongQueryIsNotLookedAt(t *testing.T) {
	t.Parallel()
	p := &person{target: "myapp://done"}
	response := visit(t, p, http.MethodGet, "/return/n0nce?session_id="+strings.Repeat("a", 5<<10))
	if response.StatusCode != http.StatusSeeOther || len(p.seen) != 1 || len(p.seen[0].Query) != 0 {
		t.Errorf("%d, and the domain heard a query of %d keys", response.StatusCode, len(p.seen[0].Query))
	}
}
