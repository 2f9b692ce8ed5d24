package edge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/outgoing"
	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

// providerText stands for what a provider may write about a failure.
const providerText = "internal-text-of-the-provider"

// maxAnswer is the cap of the tests' calls, in bytes.
const maxAnswer = 1 << 10

// generous is the timeout where the test is not about time.
const generous = 20 * time.Second

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func redirecting(t *testing.T) string {
	t.Helper()
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	})
}

// callTo returns a call to what listens at url, which takes a 200 alone.
func callTo(url string, change ...func(*edge.Call)) edge.Call {
	c := edge.Call{
		Endpoint:  "acme POST /start/{id}",
		Client:    edge.WithoutRedirects(http.DefaultClient),
		Timeout:   generous,
		MaxAnswer: maxAnswer,
		Request: func(ctx context.Context) (*http.Request, error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/start/4711", http.NoBody)
			if err == nil {
				request.Header.Set("X-Key", "key")
			}
			return request, err
		},
		Refusal: func(response *http.Response) *verification.Error {
			if response.StatusCode == http.StatusOK {
				return nil
			}
			return edge.Fault(response.StatusCode, "the request").WithCause(fmt.Errorf("HTTP status %d", response.StatusCode))
		},
	}
	for _, ch := range change {
		ch(&c)
	}
	return c
}

// fails checks the error of a call, and that nothing in its chain repeats what
// the provider sent or which id was asked about.
func fails(t *testing.T, c edge.Call, kind verification.Kind, cause string) {
	t.Helper()
	answer, err := c.Do(t.Context())
	checkFailure(t, err, kind, cause)
	if len(answer.Keys()) > 0 {
		t.Errorf("an answer comes with the error, with the keys %v", answer.Keys())
	}
}

func checkFailure(t *testing.T, err error, kind verification.Kind, cause string) {
	t.Helper()
	e, ok := errors.AsType[*verification.Error](err)
	if !ok || e.Kind != kind || e.Reason == "" || e.Message == "" || e.Unwrap() == nil {
		t.Fatalf("got %#v, want kind %s, a reason, a message and a cause", err, kind)
	}
	if !strings.Contains(e.Unwrap().Error(), cause) {
		t.Errorf("got the cause %v, want one that says %q", e.Unwrap(), cause)
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		if strings.Contains(inner.Error(), providerText) || strings.Contains(inner.Error(), "4711") {
			t.Errorf("the chain repeats the provider or the id: %v", inner)
		}
	}
}

func TestACallSendsOneRequestAndReadsTheAnswer(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/start/4711" {
			t.Errorf("got %s %s", r.Method, r.URL.Path)
		}
		for name, want := range map[string]string{"X-Key": "key", "Accept": "application/json", "User-Agent": "verigate"} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("header %s: got %q, want %q", name, got, want)
			}
		}
		text := `{"token":"x"}`
		_, _ = io.WriteString(w, text+strings.Repeat(" ", maxAnswer-len(text)))
	})
	answer, err := callTo(url).Do(t.Context())
	if err != nil || !answer.Is("token", "x") {
		t.Errorf("got %v, %v", answer.Keys(), err)
	}
}

func TestACallRefusesAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ answer, cause string }{
		"that are empty":            {"", "not exactly one JSON object"},
		"that are no JSON":          {"<html>" + providerText, "not exactly one JSON object"},
		"that are a list":           {`["` + providerText + `"]`, "not exactly one JSON object"},
		"with something behind":     {`{}{}`, "not exactly one JSON object"},
		"with a key twice":          {`{"` + providerText + `":1,"` + providerText + `":2}`, "stands twice"},
		"that are longer than read": {"{}" + strings.Repeat(" ", maxAnswer-1), "longer than 1024 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.answer) })
			fails(t, callTo(url), verification.KindUnavailable, "acme POST /start/{id}: the answer cannot be used: ")
			fails(t, callTo(url), verification.KindUnavailable, c.cause)
		})
	}
	t.Run("that the provider calls an error, without reading them", func(t *testing.T) {
		t.Parallel()
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"`+providerText+`"}`)
		})
		fails(t, callTo(url), verification.KindRefused, "HTTP status 400")
	})
	t.Run("that lead elsewhere", func(t *testing.T) {
		t.Parallel()
		fails(t, callTo(redirecting(t)), verification.KindUnavailable, "HTTP status 307")
	})
}

// dialling returns a client whose dials all end in the error.
func dialling(dialErr error) func(*edge.Call) {
	return func(c *edge.Call) {
		c.Client = &http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, dialErr },
		}}
	}
}

func TestFailuresOfTheConnectionAreToldApart(t *testing.T) {
	t.Parallel()
	for want, dialErr := range map[string]error{
		"host name cannot be resolved":       &net.DNSError{Err: providerText, Name: "api.example", IsNotFound: true},
		"the connection broke":               errors.New(providerText),
		outgoing.ErrForbiddenAddress.Error(): fmt.Errorf("dialling: %w", outgoing.ErrForbiddenAddress),
		"within the connection's timeout":    &net.DNSError{Err: providerText, IsTimeout: true},
	} {
		t.Run("a dial that fails: "+want, func(t *testing.T) {
			t.Parallel()
			fails(t, callTo("http://api.example", dialling(dialErr)), verification.KindUnavailable, want)
		})
	}
	t.Run("a request that cannot be built", func(t *testing.T) {
		t.Parallel()
		fails(t, callTo("http://"+providerText+"\x00"), verification.KindUnavailable, "the request cannot be built")
	})
	t.Run("nobody who listens", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		fails(t, callTo(server.URL), verification.KindUnavailable, "no connection can be made")
	})
	t.Run("an untrusted certificate", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		server.StartTLS()
		t.Cleanup(server.Close)
		fails(t, callTo(server.URL), verification.KindUnavailable, "certificate is not trusted")
	})
	t.Run("a connection that breaks, without what came", func(t *testing.T) {
		t.Parallel()
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Errorf("Hijack: %v", err)
				return
			}
			_, _ = io.WriteString(conn, providerText+"\r\n\r\n")
			_ = conn.Close()
		})
		fails(t, callTo(url), verification.KindUnavailable, "the connection broke")
	})
}

// endless serves an answer that begins and never ends before the test does.
func endless(t *testing.T, begun func()) string {
	t.Helper()
	over := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"token":`)
		_ = http.NewResponseController(w).Flush()
		begun()
		<-over
	})
	t.Cleanup(func() { close(over) })
	return url
}

func TestWhoEndsACall(t *testing.T) {
	t.Parallel()
	t.Run("the timeout cuts an endless answer off, and does not look like the caller's deadline", func(t *testing.T) {
		t.Parallel()
		c := callTo(endless(t, func() {}), func(c *edge.Call) { c.Timeout = 50 * time.Millisecond })
		ctx, cancel := context.WithTimeout(t.Context(), generous)
		defer cancel()
		_, err := c.Do(ctx)
		checkFailure(t, err, verification.KindUnavailable, "within the connection's timeout")
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("the timeout looks like the caller's: %v", errors.Unwrap(err))
		}
	})
	t.Run("the caller's deadline stays visible", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		_, err := callTo("http://127.0.0.1:9").Do(ctx)
		checkFailure(t, err, verification.KindUnavailable, "the caller gave up")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want context.DeadlineExceeded in the chain", errors.Unwrap(err))
		}
	})
	t.Run("the caller's cancellation stays visible while the answer is read", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := callTo(endless(t, cancel)).Do(ctx)
		checkFailure(t, err, verification.KindUnavailable, "the caller gave up")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled in the chain", errors.Unwrap(err))
		}
	})
}

func TestFault(t *testing.T) {
	t.Parallel()
	refused, down := verification.KindRefused, verification.KindUnavailable
	for status, want := range map[int]struct {
		kind   verification.Kind
		reason string
	}{
		208: {down, "PROVIDER_UNAVAILABLE"},
		302: {down, "PROVIDER_UNAVAILABLE"},
		400: {refused, "PROVIDER_REFUSED_REQUEST"},
		401: {refused, "PROVIDER_REFUSED_CREDENTIALS"},
		402: {refused, "PROVIDER_REFUSED_REQUEST"},
		403: {refused, "PROVIDER_REFUSED_CREDENTIALS"},
		404: {refused, "PROVIDER_REFUSED_REQUEST"},
		408: {down, "PROVIDER_BUSY"},
		422: {refused, "PROVIDER_REFUSED_REQUEST"},
		429: {down, "PROVIDER_BUSY"},
		499: {refused, "PROVIDER_REFUSED_REQUEST"},
		500: {down, "PROVIDER_UNAVAILABLE"},
		503: {down, "PROVIDER_UNAVAILABLE"},
		599: {down, "PROVIDER_UNAVAILABLE"},
	} {
		t.Run(fmt.Sprintf("%d is %s", status, want.reason), func(t *testing.T) {
			t.Parallel()
			e := edge.Fault(status, "the flow's product")
			if e.Kind != want.kind || e.Reason != want.reason || e.Message == "" {
				t.Errorf("got %#v", e)
			}
			if says := strings.Contains(e.Message, "check the flow's product"); says != (want.reason == "PROVIDER_REFUSED_REQUEST") {
				t.Errorf("got the message %q", e.Message)
			}
		})
	}
}
