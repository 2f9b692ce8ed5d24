package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	callbackSecret = "whsec_c2FuZGJveC1jYWxsYmFjay1zZWNyZXQtMzItYnl0ZXM="
	otherSecret    = "whsec_YW5vdGhlci1jYWxsYmFjay1zZWNyZXQtb2YtMzItYnk="
	runOfAll       = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	otherRun       = "ZZZZZZZZZZZZZZZZZZZZZZZZZZ"
	// hearPatience is how long a message may take to a listener.
	hearPatience = 30 * time.Second
)

// bodyOf is a callback's body as the gateway writes it.
func bodyOf(version int) string {
	return fmt.Sprintf(`{"id":"%[1]s.%[2]d", "kind":"EVENT_KIND_PASSED","verificationId":"%[1]s","version":"%[2]d","unheardOf":1}`, idOfAll, version)
}

// signedBy is a callback to a run, signed with a secret.
func signedBy(t *testing.T, secret, run string, version int) *http.Request {
	t.Helper()
	return signed(t, secret, run, fmt.Sprintf("%s.%d", idOfAll, version), bodyOf(version))
}

// signed is a message to a run under a webhook-id, signed with a secret.
func signed(t *testing.T, secret, run, id, body string) *http.Request {
	t.Helper()
	signer, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signature, err := signer.Sign(id, now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/demo/callbacks?run="+run, strings.NewReader(body))
	r.Host = host
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(standardwebhooks.HeaderWebhookID, id)
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return r
}

// heard is one message as the page gets it.
type heard struct {
	ID         string    `json:"id"`
	ReceivedAt time.Time `json:"received_at"`
	Body       string    `json:"body"`
}

// ear listens to a run over a real connection.
type ear struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Scanner
}

func (p *page) listen(t *testing.T, run string) *ear {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), hearPatience)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/demo/callbacks?run="+run, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	e := &ear{t: t, response: response, lines: bufio.NewScanner(response.Body)}
	if first := e.line(); first != "retry: 1000" {
		t.Fatalf("the first line is %q", first)
	}
	return e
}

// line returns the next line that is not empty, and nothing at the end.
func (e *ear) line() string {
	for e.lines.Scan() {
		if text := e.lines.Text(); text != "" {
			return text
		}
	}
	return ""
}

func (e *ear) next() heard {
	e.t.Helper()
	text, ok := strings.CutPrefix(e.line(), "data: ")
	var m heard
	if !ok || json.Unmarshal([]byte(text), &m) != nil {
		e.t.Fatalf("this is no message: %q", text)
	}
	return m
}

func (e *ear) wantVersions(versions ...int) {
	e.t.Helper()
	for _, version := range versions {
		if got, want := e.next().ID, fmt.Sprintf("%s.%d", idOfAll, version); got != want {
			e.t.Fatalf("heard %s, want %s", got, want)
		}
	}
}

func TestCallbacks(t *testing.T) {
	t.Parallel()

	t.Run("what came before and what comes later is heard, byte for byte", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		wantStatus(t, p.send(signedBy(t, callbackSecret, runOfAll, 1)), http.StatusNoContent)
		e := p.listen(t, runOfAll)
		want := heard{ID: idOfAll + ".1", ReceivedAt: receivedAt, Body: bodyOf(1)}
		if got := e.next(); got != want {
			t.Errorf("heard %v, want %v", got, want)
		}
		wantStatus(t, p.send(signedBy(t, callbackSecret, runOfAll, 2)), http.StatusNoContent)
		e.wantVersions(2)
		if got := e.response.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("Content-Type = %q", got)
		}
	})

	t.Run("one that is signed by somebody else is refused and not shown", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		e := p.listen(t, runOfAll)
		wantStatus(t, p.send(signedBy(t, otherSecret, runOfAll, 1)), http.StatusUnauthorized)
		wantStatus(t, p.send(signedBy(t, callbackSecret, runOfAll, 2)), http.StatusNoContent)
		e.wantVersions(2)
		if !strings.Contains(p.log.String(), "refused a callback") {
			t.Errorf("log = %s", p.log)
		}
	})

	t.Run("a repeated one is shown once", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		for _, version := range []int{1, 1, 2} {
			wantStatus(t, p.send(signedBy(t, callbackSecret, runOfAll, version)), http.StatusNoContent)
		}
		p.listen(t, runOfAll).wantVersions(1, 2)
	})

	t.Run("another run hears nothing of it", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		e := p.listen(t, otherRun)
		wantStatus(t, p.send(signedBy(t, callbackSecret, runOfAll, 1)), http.StatusNoContent)
		wantStatus(t, p.send(signedBy(t, callbackSecret, otherRun, 2)), http.StatusNoContent)
		e.wantVersions(2)
	})

	t.Run("listeners are let go when the server stops", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		e := p.listen(t, runOfAll)
		p.stop()
		if text := e.line(); text != "" || e.lines.Err() != nil {
			t.Errorf("heard %q, %v instead of a clean end", text, e.lines.Err())
		}
	})
}

func TestCallbacksAreBounded(t *testing.T) {
	t.Parallel()

	t.Run("of a run the newest 32 are kept", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		for version := range 34 {
			wantStatus(t, p.send(signedBy(t, callbackSecret, runOfAll, version)), http.StatusNoContent)
		}
		e := p.listen(t, runOfAll)
		for version := 2; version < 34; version++ {
			e.wantVersions(version)
		}
		// A listener who is up to date misses nothing when older ones go.
		wantStatus(t, p.send(signedBy(t, callbackSecret, runOfAll, 34)), http.StatusNoContent)
		e.wantVersions(34)
	})

	t.Run("the newest 128 runs are kept", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		wantStatus(t, p.send(signedBy(t, callbackSecret, runOfAll, 1)), http.StatusNoContent)
		for number := range 128 {
			run := strings.Repeat("A", 24) + string(rune('A'+number/16)) + string(rune('A'+number%16))
			wantStatus(t, p.send(signedBy(t, callbackSecret, run, 1)), http.StatusNoContent)
		}
		e := p.listen(t, runOfAll)
		wantStatus(t, p.send(signedBy(t, callbackSecret, runOfAll, 2)), http.StatusNoContent)
		e.wantVersions(2)
		p.listen(t, strings.Repeat("A", 24)+"HP").wantVersions(1)
	})
}

func TestCallbackRefusals(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		change func(r *http.Request)
		status int
		text   string
	}{
		{"without a run", func(r *http.Request) { r.URL.RawQuery = "" }, http.StatusNotFound, "run: must be"},
		{"with something that is no run", func(r *http.Request) { r.URL.RawQuery = "run=short" }, http.StatusNotFound, "run: must be"},
		{"without a signature", func(r *http.Request) { r.Header.Del(standardwebhooks.HeaderWebhookSignature) }, http.StatusUnauthorized, "does not verify"},
		{"with another body", func(r *http.Request) { r.Body = http.NoBody }, http.StatusUnauthorized, "does not verify"},
		{"under another id", func(r *http.Request) { r.Header.Set(standardwebhooks.HeaderWebhookID, "x") }, http.StatusUnauthorized, "does not verify"},
		{"far too large", func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(strings.Repeat(" ", 65<<10)))
		}, http.StatusRequestEntityTooLarge, "64 KiB"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPage()
			r := signedBy(t, callbackSecret, runOfAll, 1)
			c.change(r)
			w := p.send(r)
			wantStatus(t, w, c.status)
			wantText(t, w, c.text)
			wantStatus(t, p.send(signedBy(t, callbackSecret, runOfAll, 2)), http.StatusNoContent)
			p.listen(t, runOfAll).wantVersions(2)
		})
	}
}

func TestCallbacksThatAreNoEvents(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no JSON":                "Hello.",
		"another event's id":     bodyOf(2),
		"an event without an id": `{"kind":"EVENT_KIND_PASSED"}`,
		"a list":                 "[]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPage()
			w := p.send(signed(t, callbackSecret, runOfAll, idOfAll+".1", body))
			wantStatus(t, w, http.StatusBadRequest)
			wantText(t, w, "whose id is the webhook-id")
			wantStatus(t, p.send(signedBy(t, callbackSecret, runOfAll, 3)), http.StatusNoContent)
			p.listen(t, runOfAll).wantVersions(3)
		})
	}
}

func TestWhoMayHearCallbacks(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, target, origin, site string
		status                     int
	}{
		{"another site may not", "/demo/callbacks?run=" + runOfAll, "https://evil.example", "cross-site", http.StatusForbidden},
		{"another port of this machine may not", "/demo/callbacks?run=" + runOfAll, "", "same-site", http.StatusForbidden},
		{"nobody may without a run", "/demo/callbacks", "", "same-origin", http.StatusNotFound},
		{"a verification's id is no run", "/demo/callbacks?run=" + idOfAll, "", "same-origin", http.StatusNotFound},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPage()
			wantStatus(t, p.send(signedBy(t, callbackSecret, runOfAll, 1)), http.StatusNoContent)
			r := get(c.target)
			r.Header.Set("Origin", c.origin)
			r.Header.Set("Sec-Fetch-Site", c.site)
			w := p.send(r)
			wantStatus(t, w, c.status)
			if strings.Contains(w.Body.String(), idOfAll) {
				t.Errorf("the body tells too much: %s", w.Body)
			}
		})
	}
}
