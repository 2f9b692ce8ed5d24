package aiprise_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider/aiprise"
	"github.com/verigate/verigate/server/provider/providertest"
	"github.com/verigate/verigate/server/verification"
)

// outcome is what an HTTP status must become.
type outcome struct {
	kind   verification.Kind
	reason string
	hint   string
}

func TestEveryStatus(t *testing.T) {
	t.Parallel()
	const message = `{"message":"` + providerText + `"}`
	refused, down := verification.KindRefused, verification.KindUnavailable
	for status, want := range map[int]outcome{
		201: {down, "PROVIDER_UNAVAILABLE", "HTTP status 201"},
		202: {down, "PROVIDER_UNAVAILABLE", "HTTP status 202"},
		302: {down, "PROVIDER_UNAVAILABLE", "HTTP status 302"},
		400: {refused, "PROVIDER_REFUSED_REQUEST", "the flow's product"},
		401: {refused, "PROVIDER_REFUSED_CREDENTIALS", "api_keys"},
		402: {refused, "PROVIDER_REFUSED_REQUEST", "HTTP status 402"},
		403: {refused, "PROVIDER_REFUSED_CREDENTIALS", "dashboard"},
		404: {refused, "PROVIDER_REFUSED_REQUEST", "HTTP status 404"},
		408: {down, "PROVIDER_BUSY", "HTTP status 408"},
		413: {refused, "PROVIDER_REFUSED_REQUEST", "too large"},
		422: {refused, "PROVIDER_REFUSED_REQUEST", "HTTP status 422"},
		429: {down, "PROVIDER_BUSY", "fewer requests"},
		500: {down, "PROVIDER_UNAVAILABLE", "HTTP status 500"},
		502: {down, "PROVIDER_UNAVAILABLE", "HTTP status 502"},
		503: {down, "PROVIDER_UNAVAILABLE", "HTTP status 503"},
		599: {down, "PROVIDER_UNAVAILABLE", "HTTP status 599"},
	} {
		t.Run(fmt.Sprintf("%d is %s", status, want.reason), func(t *testing.T) {
			t.Parallel()
			p := open(t, answering(t, status, message))
			_, startErr := p.Start(t.Context(), startSession())
			_, fetchErr := providertest.AsFetcher(t, p).Fetch(t.Context(), templateID, sessionRef)
			for _, err := range []error{startErr, fetchErr} {
				checkError(t, err, want.kind, want.reason)
				checkCause(t, err, want.hint)
			}
			checkCause(t, startErr, "it said: "+providerText)
			// What is said of a session may be said of a person.
			if cause := errors.Unwrap(fetchErr); cause == nil || strings.Contains(cause.Error(), providerText) {
				t.Errorf("a fetch repeats what the provider said: %v", cause)
			}
		})
	}
	t.Run("208 is worth a retry of a start, and refuses a fetch", func(t *testing.T) {
		t.Parallel()
		p := open(t, answering(t, http.StatusAlreadyReported, goodAnswer))
		_, err := p.Start(t.Context(), startSession())
		checkError(t, err, down, "PROVIDER_SESSION_REUSED")
		_, err = providertest.AsFetcher(t, p).Fetch(t.Context(), templateID, sessionRef)
		checkError(t, err, refused, "PROVIDER_REFUSED_REQUEST")
	})
}

func checkCause(t *testing.T, err error, want string) {
	t.Helper()
	if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), want) {
		t.Errorf("got the cause %v, want one that says %q", cause, want)
	}
}

func TestTheProvidersMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ answer, want string }{
		"is bounded":                          {`{"message":"` + strings.Repeat("é", 300) + `"}`, "it said: " + strings.Repeat("é", 200)},
		"keeps only what is printable":        {`{"message":"a\u001b[31m\r\nb\u0000"}`, "it said: a[31mb"},
		"is left out if it holds the key":     {`{"message":"bad key ` + demoKey + `"}`, ""},
		"is left out if it holds the old key": {`{"message":"bad key ` + previousKey + `"}`, ""},
		"is left out if it is no text":        {`{"message":{"a":1}}`, ""},
		"is left out if it is empty":          {`{"message":""}`, ""},
		"is left out of what is no JSON":      {`<html>` + providerText, ""},
		"is left out of a body beyond 4 KiB":  {`{"message":"m","a":"` + strings.Repeat("x", 4<<10) + `"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, answering(t, http.StatusBadRequest, c.answer)).Start(t.Context(), startSession())
			checkError(t, err, verification.KindRefused, "PROVIDER_REFUSED_REQUEST")
			cause := errors.Unwrap(err).Error()
			if _, said, _ := strings.Cut(cause, "; it said: "); "it said: "+said != c.want && (c.want != "" || said != "") {
				t.Errorf("got the cause %q, want %q", cause, c.want)
			}
		})
	}
	t.Run("is left out when user data was sent, which it may repeat", func(t *testing.T) {
		t.Parallel()
		r := startSession()
		r.UserData = person()
		_, err := open(t, answering(t, http.StatusBadRequest, `{"message":"Ada-Personal is not a name"}`)).Start(t.Context(), r)
		checkError(t, err, verification.KindRefused, "PROVIDER_REFUSED_REQUEST")
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	date := func(wait time.Duration) string { return now().Add(wait).Format(http.TimeFormat) }
	for header, want := range map[string]time.Duration{
		"":                       0,
		"0":                      0,
		"7":                      7 * time.Second,
		"3600":                   time.Hour,
		"3601":                   time.Hour,
		"4294967295":             time.Hour,
		"99999999999":            0,
		"-1":                     0,
		"1.5":                    0,
		"soon":                   0,
		date(90 * time.Second):   90 * time.Second,
		date(48 * time.Hour):     time.Hour,
		date(-48 * time.Hour):    0,
		"Sun, 99 May 2026 1:1:1": 0,
	} {
		t.Run("of "+header, func(t *testing.T) {
			t.Parallel()
			for _, status := range []int{429, 503} {
				p := open(t, answering(t, status, "", "Retry-After", header))
				_, startErr := p.Start(t.Context(), startSession())
				_, fetchErr := providertest.AsFetcher(t, p).Fetch(t.Context(), templateID, sessionRef)
				for _, err := range []error{startErr, fetchErr} {
					e, ok := errors.AsType[*verification.Error](err)
					if !ok || e.Kind != verification.KindUnavailable || e.RetryAfter != want {
						t.Errorf("%d: got %#v, want to wait %s", status, err, want)
					}
				}
			}
		})
	}
	t.Run("of a refusal means nothing", func(t *testing.T) {
		t.Parallel()
		_, err := open(t, answering(t, http.StatusBadRequest, "", "Retry-After", "7")).Start(t.Context(), startSession())
		if e := checkError(t, err, verification.KindRefused, "PROVIDER_REFUSED_REQUEST"); e.RetryAfter != 0 {
			t.Errorf("got %s", e.RetryAfter)
		}
	})
}

func TestARefusalThatNeverEndsIsARefusalAllTheSame(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	p := open(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_ = http.NewResponseController(w).Flush()
		<-over
	}), func(s *aiprise.Settings) { s.Timeout = 50 * time.Millisecond })
	t.Cleanup(func() { close(over) })
	_, err := p.Start(t.Context(), startSession())
	checkError(t, err, verification.KindRefused, "PROVIDER_REFUSED_CREDENTIALS")
}
