package park_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/verigate/verigate/server/park"
)

// telling is a live that sends what it is given.
func telling(w wire, t *testing.T) (s *script, tell func(text string)) {
	t.Helper()
	s = newScript()
	texts := make(chan string, 100)
	var stream *park.Stream
	s.follow = func(context.Context) (park.Next, error) {
		if stream == nil {
			stream = <-s.begun
		}
		text := <-texts
		if text == "" {
			return park.Done, nil
		}
		return park.More, stream.Send(frame(t, w, text))
	}
	return s, func(text string) { texts <- text }
}

func TestAParkedStreamGoesOnAndEndsWellInEveryProtocol(t *testing.T) {
	t.Parallel()
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			site := newSite(t, quiet())
			live, tell := telling(w, t)
			site.live = func(context.Context) *script { return live }
			stream := site.open(t.Context(), t, w)
			// Nothing of what opened the stream is left of it.
			site.within.Wait()
			if len(site.later) > 0 {
				t.Error("the end was told while the stream was open")
			}
			s := await(t, "it begins", live.begun)
			live.begun <- s
			if !s.Parked() {
				t.Error("it is not parked")
			}
			s.News()
			for i := range 3 {
				text := strings.Repeat("x", i*200) + fmt.Sprint(i)
				tell(text)
				if got, err := next(stream); err != nil || got != text {
					t.Errorf("message %d is %q, %v", i, got, err)
				}
			}
			tell("")
			if got, err := next(stream); !ended(err) {
				t.Errorf("the end is %q, %v", got, err)
			}
			if err := await(t, "the end is told", site.later); err != nil {
				t.Errorf("told %v", err)
			}
		})
	}
}

func TestAnErrorEndsAParkedStreamAsConnectSaysIt(t *testing.T) {
	t.Parallel()
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			site, live := newSite(t, quiet()), newScript()
			detail, err := connectproto.NewErrorDetail(&errdetails.ErrorInfo{Reason: "ENDED", Domain: "test"})
			if err != nil {
				t.Fatal(err)
			}
			live.follow = func(context.Context) (park.Next, error) {
				return park.Wait, connect.NewError(connect.CodeUnauthenticated, "the key is revoked: \"é\"").WithDetail(detail)
			}
			site.live = func(context.Context) *script { return live }
			stream := site.open(t.Context(), t, w)
			await(t, "it begins", live.begun).News()
			_, err = next(stream)
			told, ok := errors.AsType[*connect.Error](err)
			if !ok || told.Code() != connect.CodeUnauthenticated || told.Message() != "the key is revoked: \"é\"" || len(told.Details()) != 1 {
				t.Errorf("it ended with %v, want the error with its detail", err)
			}
			if err := await(t, "the end is told", site.later); connect.CodeOf(err) != connect.CodeUnauthenticated {
				t.Errorf("told %v", err)
			}
		})
	}
}

func TestAPanicEndsAParkedStreamWithAnError(t *testing.T) {
	t.Parallel()
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			site, live := newSite(t, quiet()), newScript()
			live.follow = func(context.Context) (park.Next, error) { panic("marked value") }
			live.over = func(err error) error {
				if err == nil {
					t.Error("the panic is no error")
				}
				return connect.NewError(connect.CodeInternal, "internal error")
			}
			site.live = func(context.Context) *script { return live }
			stream := site.open(t.Context(), t, w)
			await(t, "it begins", live.begun).News()
			if _, err := next(stream); connect.CodeOf(err) != connect.CodeInternal {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

func TestAHangUpEndsAParkedStreamAtOnce(t *testing.T) {
	t.Parallel()
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			site, live := newSite(t, quiet()), newScript()
			site.live = func(context.Context) *script { return live }
			ctx, hangUp := context.WithCancel(t.Context())
			stream := site.open(ctx, t, w)
			await(t, "it begins", live.begun)
			hangUp()
			_ = stream.Close()
			if err := await(t, "it ends", live.ended); err == nil {
				t.Error("it ended well")
			}
			eventually(t, "its place is free", func() bool { return site.Count() == 0 })
		})
	}
}

func TestACallersDeadlineEndsAParkedStream(t *testing.T) {
	t.Parallel()
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			site, live := newSite(t, quiet()), newScript()
			site.live = func(context.Context) *script { return live }
			// The server hears of the deadline, and the client goes on for longer.
			w.edit = func(r *http.Request) {
				r.Header.Set("Connect-Timeout-Ms", "100")
				r.Header.Set("Grpc-Timeout", "100m")
			}
			site.open(t.Context(), t, w)
			if err := await(t, "it ends", live.ended); err == nil || !strings.Contains(err.Error(), "deadline") {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

func TestACallThatParksNothingIsAsItWas(t *testing.T) {
	t.Parallel()
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			site := newSite(t, quiet())
			site.live = func(context.Context) *script { return nil }
			stream := site.open(t.Context(), t, w)
			if _, err := next(stream); connect.CodeOf(err) != connect.CodeAborted {
				t.Errorf("it ended with %v", err)
			}
			if err := await(t, "the end is told", site.later); connect.CodeOf(err) != connect.CodeAborted {
				t.Errorf("told %v", err)
			}
		})
	}
}

func TestAStreamKeepsTheHeadersThatGuardItAndNoneOfDocuments(t *testing.T) {
	t.Parallel()
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			site := newSite(t, quiet())
			var shown http.Header
			w.see = func(r *http.Response) { shown = r.Header }
			site.open(t.Context(), t, w)
			for name, value := range headers() {
				ofDocuments := name == "Referrer-Policy" || name == "X-Frame-Options" || name == "Permissions-Policy" || name == "Cross-Origin-Opener-Policy"
				if got := shown.Get(name); (got == value) == ofDocuments {
					t.Errorf("%s is %q", name, got)
				}
			}
		})
	}
	site := newSite(t, quiet())
	response := get(t, site.url+procedure)
	for name, value := range headers() {
		if got := response.Header.Get(name); got != value {
			t.Errorf("of what is no stream %s is %q, want %q", name, got, value)
		}
	}
}

func get(t *testing.T, url string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestOtherPathsAreServedAsTheyAre(t *testing.T) {
	t.Parallel()
	handler := park.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(*httptest.ResponseRecorder); !ok {
			t.Errorf("the writer is %T", w)
		}
	}), procedure)
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/test/Other", http.NoBody))
}

func TestNothingOfTheRequestIsKeptWhileItsStreamIsParked(t *testing.T) {
	t.Parallel()
	site, live := newSite(t, quiet()), newScript()
	live.follow = func(context.Context) (park.Next, error) { return park.Done, nil }
	site.live = func(context.Context) *script { return live }
	w := wires()[0]
	site.open(t.Context(), t, w)
	await(t, "it begins", live.begun).News()
	r := await(t, "the request is over", site.requests)
	if r.URL != nil || r.Header != nil || r.Body != nil || r.Host != "" || r.RequestURI != "" || r.RemoteAddr != "" {
		t.Errorf("the request is %+v", r)
	}
}

func TestAPanicWithinReachesNetHTTP(t *testing.T) {
	t.Parallel()
	handler := park.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), procedure)
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v", err)
		}
	}()
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, procedure, http.NoBody))
	t.Error("it did not panic")
}
