package verifyhuman_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider/verifyhuman"
	"github.com/verigate/verigate/server/verification"
)

// providerText stands for what VerifyHuman may write about a failure.
const providerText = "internal-text-of-the-provider"

// serve runs a VerifyHuman that gives every request the same answer.
func serve(t *testing.T, handler http.HandlerFunc) func(*verifyhuman.Settings) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return func(s *verifyhuman.Settings) { s.BaseURL = server.URL }
}

func answering(t *testing.T, status int, text string) func(*verifyhuman.Settings) {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
}

func TestStartOfAStablePageMakesNoCall(t *testing.T) {
	t.Parallel()
	p := open(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a call was made") }))
	r := startSession()
	r.HostedURL = "https://app.verifyhuman.io/flow/demo"
	got, err := p.Start(t.Context(), r)
	if want := (verification.Session{HostedURL: r.HostedURL}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Start: got %+v, %v, want %+v", got, err, want)
	}
}

func TestStartLeavesOutWhatIsEmpty(t *testing.T) {
	t.Parallel()
	bodies := make(chan []byte, 1)
	p := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != apiKey || r.Header.Get("Authorization") != "" {
			t.Errorf("got the headers %v", slices.Sorted(maps.Keys(r.Header)))
		}
		if r.URL.Path != "/proxy/hosted/generate" {
			t.Errorf("got the path %s", r.URL.Path)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		bodies <- body
		_, _ = io.WriteString(w, `{"hosted_url":"http://127.0.0.1/hosted/v/x","token":"x"}`)
	}), func(s *verifyhuman.Settings) {
		s.AuthScheme = verifyhuman.AuthXAPIKey
		s.BaseURL += "/proxy/"
	})
	now := time.Unix(goldenUnix, 0)
	got, err := p.Start(t.Context(), verification.StartSession{Product: "verifyage", Now: now, ExpireTime: now.Add(time.Hour)})
	if err != nil || got.HostedURL != "http://127.0.0.1/hosted/v/x" || !got.ExpireTime.Equal(now.Add(time.Hour)) {
		t.Fatalf("Start: got %+v, %v", got, err)
	}
	checkBody(t, <-bodies, map[string]any{"product": "verifyage", "expires_in_hours": float64(1)})
}

func TestStartRoundsHoursUp(t *testing.T) {
	t.Parallel()
	for lifetime, hours := range map[time.Duration]float64{
		-time.Hour: 1, 0: 1, time.Minute: 1, time.Hour: 1, time.Hour + 1: 2, 24 * time.Hour: 24, 24*time.Hour + time.Minute: 25,
	} {
		t.Run(lifetime.String(), func(t *testing.T) {
			t.Parallel()
			bodies := make(chan []byte, 1)
			p := open(t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				bodies <- body
			}))
			now := time.Unix(goldenUnix, 0)
			_, err := p.Start(t.Context(), verification.StartSession{Product: "verifyage", Now: now, ExpireTime: now.Add(lifetime)})
			if err == nil {
				t.Error("Start took an empty answer")
			}
			checkBody(t, <-bodies, map[string]any{"product": "verifyage", "expires_in_hours": hours})
		})
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		kind   verification.Kind
		reason string
	}{
		302: {verification.KindUnavailable, "PROVIDER_UNAVAILABLE"},
		400: {verification.KindRefused, "PROVIDER_REFUSED_REQUEST"},
		401: {verification.KindRefused, "PROVIDER_REFUSED_CREDENTIALS"},
		402: {verification.KindRefused, "PROVIDER_OUT_OF_CREDITS"},
		403: {verification.KindRefused, "PROVIDER_REFUSED_CREDENTIALS"},
		404: {verification.KindRefused, "PROVIDER_REFUSED_REQUEST"},
		408: {verification.KindUnavailable, "PROVIDER_BUSY"},
		422: {verification.KindRefused, "PROVIDER_REFUSED_REQUEST"},
		429: {verification.KindUnavailable, "PROVIDER_BUSY"},
		500: {verification.KindUnavailable, "PROVIDER_UNAVAILABLE"},
		503: {verification.KindUnavailable, "PROVIDER_UNAVAILABLE"},
		599: {verification.KindUnavailable, "PROVIDER_UNAVAILABLE"},
	} {
		t.Run(http.StatusText(status)+" is "+want.reason, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, answering(t, status, `{"error":"`+providerText+`"}`)).Start(t.Context(), startSession())
			checkError(t, err, want.kind, want.reason)
		})
	}
}

// checkError looks at an error and at all its causes: they may be logged.
func checkError(t *testing.T, err error, kind verification.Kind, reason string) {
	t.Helper()
	e, ok := errors.AsType[*verification.Error](err)
	if !ok || e.Kind != kind || e.Reason != reason || e.Message == "" || e.Unwrap() == nil {
		t.Fatalf("got %#v, want kind %s, reason %s, a message and a cause", err, kind, reason)
	}
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		for _, secretText := range []string{providerText, apiKey, clientKey, goldenSecret} {
			if strings.Contains(cause.Error(), secretText) {
				t.Errorf("the chain repeats %q: %v", secretText, cause)
			}
		}
	}
}

func TestStartRefusesAnswers(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"without hosted_url":             `{"token":"x"}`,
		"with a relative page":           `{"hosted_url":"/hosted/v/x","token":"x"}`,
		"with a page without a host":     `{"hosted_url":"https:///hosted","token":"x"}`,
		"with a script for a page":       `{"hosted_url":"javascript:alert(1)","token":"x"}`,
		"with a user in the page":        `{"hosted_url":"https://a:b@c.example/","token":"x"}`,
		"with a page that is a number":   `{"hosted_url":1,"token":"x"}`,
		"without token":                  `{"hosted_url":"https://h.example/v/x"}`,
		"with an empty token":            `{"hosted_url":"https://h.example/v/x","token":""}`,
		"with keys in other letter case": `{"Hosted_URL":"https://h.example/v/x","TOKEN":"x"}`,
		"with two tokens":                `{"hosted_url":"https://h.example/v/x","token":"x","token":"y"}`,
		"with an unreadable expires_at":  `{"hosted_url":"https://h.example/v/x","token":"x","expires_at":"soon"}`,
		"with a number for expires_at":   `{"hosted_url":"https://h.example/v/x","token":"x","expires_at":1779013800}`,
		"with something behind":          `{"hosted_url":"https://h.example/v/x","token":"x"}{}`,
		"beyond 64 KiB":                  `{"hosted_url":"https://h.example/v/x","token":"x"}` + strings.Repeat(" ", 64<<10),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, answering(t, http.StatusOK, text)).Start(t.Context(), startSession())
			checkError(t, err, verification.KindUnavailable, "PROVIDER_UNAVAILABLE")
		})
	}
	t.Run("but takes status 201, null for expires_at, and exactly 64 KiB", func(t *testing.T) {
		t.Parallel()
		text := `{"hosted_url":"https://h.example/v/x","token":"x","expires_at":null}`
		text += strings.Repeat(" ", 64<<10-len(text))
		if _, err := open(t, answering(t, http.StatusCreated, text)).Start(t.Context(), startSession()); err != nil {
			t.Errorf("Start: %v (%v)", err, errors.Unwrap(err))
		}
	})
}
