package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// startOf is what the page's script sends.
func startOf(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/demo/start", strings.NewReader(body))
	r.Host = host
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "http://"+host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func TestStart(t *testing.T) {
	t.Parallel()

	t.Run("calls the gateway and returns what an app may hold", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		w := p.send(startOf(`{"flow":"age-gate","subject":"u1","reference":"order-1"}`))
		wantStatus(t, w, http.StatusOK)
		var answer map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		run := answer["run"]
		want := map[string]string{
			"verification_id": idOfAll, "hosted_url": hosted, "client_token": appToken, "run": run, "started_at": "2026-05-17T10:30:00.5Z",
		}
		if !maps.Equal(answer, want) || run == "" {
			t.Errorf("answer = %v, want %v", answer, want)
		}
		// People come back under the name that they used; the gateway calls back
		// under its own.
		back, hear := "http://"+host+"/demo/returned?run="+run, gatewayURL+"/demo/callbacks?run="+run
		asked := &verigatev1.StartVerificationRequest{
			Flow: "age-gate", Subject: "u1", Reference: "order-1", RedirectUrl: back, FailureRedirectUrl: back,
			CallbackUrl: hear, EventsCallbackUrl: hear,
		}
		if len(p.gateway.asked) != 1 || !proto.Equal(p.gateway.asked[0], asked) {
			t.Errorf("asked = %v, want %v", p.gateway.asked, asked)
		}
	})

	t.Run("needs no subject and no reference", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		wantStatus(t, p.send(startOf(`{"flow":"identity"}`)), http.StatusOK)
		if got := p.gateway.asked[0]; got.GetSubject() != "demo-user" || got.GetReference() != "" {
			t.Errorf("asked = %v", got)
		}
	})

	t.Run("gives each start its own run", func(t *testing.T) {
		t.Parallel()
		p := newPage()
		wantStatus(t, p.send(startOf(`{"flow":"identity"}`)), http.StatusOK)
		wantStatus(t, p.send(startOf(`{"flow":"identity"}`)), http.StatusOK)
		if p.gateway.asked[0].GetRedirectUrl() == p.gateway.asked[1].GetRedirectUrl() {
			t.Error("two starts come back under the same URL")
		}
	})

	t.Run("answers POST only", func(t *testing.T) {
		t.Parallel()
		w := newPage().send(get("/demo/start"))
		wantStatus(t, w, http.StatusMethodNotAllowed)
		if got := w.Header().Get("Allow"); got != "POST" {
			t.Errorf("Allow = %q", got)
		}
	})
}

func TestStartSource(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name         string
		origin, site string
		status       int
	}{
		{"the page itself may start", "http://" + host, "same-origin", http.StatusOK},
		{"a program without a browser may start", "", "", http.StatusOK},
		{"a navigation of the user's own may start", "", "none", http.StatusOK},
		{"a browser without fetch metadata may start from the page", "http://" + host, "", http.StatusOK},
		{"another site may not start", "https://evil.example", "cross-site", http.StatusForbidden},
		{"another port of this machine may not start", "http://127.0.0.1:3000", "same-site", http.StatusForbidden},
		{"another port is refused by its origin alone", "http://127.0.0.1:3000", "", http.StatusForbidden},
		{"another scheme is another origin", "https://" + host, "", http.StatusForbidden},
		{"an opaque origin may not start", "null", "", http.StatusForbidden},
		{"a foreign origin is refused whatever the site says", "https://evil.example", "same-origin", http.StatusForbidden},
		{"a cross-site request without an origin is refused", "", "cross-site", http.StatusForbidden},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPage()
			r := startOf(`{"flow":"identity"}`)
			r.Header.Set("Origin", c.origin)
			r.Header.Set("Sec-Fetch-Site", c.site)
			w := p.send(r)
			wantStatus(t, w, c.status)
			if c.status != http.StatusOK {
				wantText(t, w, "Only the demo page itself may start verifications here")
			}
			if called := len(p.gateway.asked) == 1; called != (c.status == http.StatusOK) {
				t.Errorf("the gateway was called: %v", called)
			}
		})
	}
}

func TestStartBody(t *testing.T) {
	t.Parallel()
	const remedy = `send {"flow": "...", "subject": "...", "reference": "..."}`
	cases := []struct {
		name, kind, body string
		status           int
		text             string
	}{
		{"a form is refused", "application/x-www-form-urlencoded", "flow=identity", http.StatusUnsupportedMediaType, "must be application/json"},
		{"text that happens to be JSON is refused", "text/plain", `{"flow":"identity"}`, http.StatusUnsupportedMediaType, "must be application/json"},
		{"a missing type is refused", "", `{"flow":"identity"}`, http.StatusUnsupportedMediaType, "must be application/json"},
		{"a type with a charset is fine", "application/json; charset=utf-8", `{"flow":"identity"}`, http.StatusOK, ""},
		{"an empty body is refused", "application/json", "", http.StatusBadRequest, remedy},
		{"half an object is refused", "application/json", `{"flow":`, http.StatusBadRequest, remedy},
		{"a list is refused", "application/json", `[]`, http.StatusBadRequest, "body: must not be a JSON array"},
		{"a number is named with its field", "application/json", `{"flow":7}`, http.StatusBadRequest, "flow: must not be a JSON number"},
		{"an unknown field is named", "application/json", `{"flow":"identity","redirect_url":"https://evil.example"}`, http.StatusBadRequest, `unknown field "redirect_url"`},
		{"a second object is refused", "application/json", `{"flow":"identity"}{}`, http.StatusBadRequest, "something after the JSON object"},
		{"a body above 4 KiB is refused", "application/json", `{"reference":"` + strings.Repeat("x", 4<<10) + `"}`, http.StatusRequestEntityTooLarge, "4 KiB"},
		{"a missing flow is refused", "application/json", `{}`, http.StatusBadRequest, "flow: must be one of identity, age-gate"},
		{"a flow that is not offered is refused", "application/json", `{"flow":"kyc"}`, http.StatusBadRequest, "flow: must be one of identity, age-gate"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPage()
			r := startOf(c.body)
			r.Header.Set("Content-Type", c.kind)
			w := p.send(r)
			wantStatus(t, w, c.status)
			wantText(t, w, c.text)
			if called := len(p.gateway.asked) == 1; called != (c.status == http.StatusOK) {
				t.Errorf("the gateway was called: %v", called)
			}
		})
	}
}

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	remote := func(code connect.Code, message string) error {
		return connect.NewError(code, message).WithRemote()
	}
	cases := []struct {
		name   string
		err    error
		status int
		text   string
	}{
		{"a bad field is named", remote(connect.CodeInvalidArgument, "reference: is too long"), http.StatusBadRequest, "reference: is too long"},
		{"a flow that the gateway lacks is told", remote(connect.CodeNotFound, "no such flow"), http.StatusNotFound, "no such flow"},
		{"a provider's refusal is told", remote(connect.CodeFailedPrecondition, "the provider refused"), http.StatusConflict, "the provider refused"},
		{"a taken lane asks to wait", remote(connect.CodeResourceExhausted, "one at a time"), http.StatusTooManyRequests, "try again in a moment: one at a time"},
		{"a provider that is away asks to retry", remote(connect.CodeUnavailable, "the provider is away"), http.StatusServiceUnavailable, "Try again in a moment: the provider is away"},
		{"a slow gateway asks to retry", context.DeadlineExceeded, http.StatusGatewayTimeout, "took too long"},
		{"a deadline asks to retry", connect.NewError(connect.CodeDeadlineExceeded, ""), http.StatusGatewayTimeout, "took too long"},
		{"a bad API key says what to do", remote(connect.CodeUnauthenticated, "no"), http.StatusBadGateway, "stop and start `verigate dev`"},
		{"an internal error points to the log", remote(connect.CodeInternal, "secret-dsn"), http.StatusBadGateway, "its log says why"},
		{"any other error points to the log", errors.New("secret-dsn"), http.StatusBadGateway, "its log says why"},
		{"what failed on this side is not told", connect.NewError(connect.CodeUnavailable, "secret-dsn"), http.StatusServiceUnavailable, "Try again in a moment: unavailable"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPage()
			p.gateway.err = c.err
			w := p.send(startOf(`{"flow":"identity","subject":"private-subject","reference":"private-reference"}`))
			wantStatus(t, w, c.status)
			wantText(t, w, c.text)
			if got := w.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
				t.Errorf("Content-Type = %q", got)
			}
			if strings.Contains(w.Body.String(), "secret-dsn") {
				t.Errorf("the body tells too much: %s", w.Body)
			}
			if log := p.log.String(); !strings.Contains(log, "flow=identity") || strings.Contains(log, "private-") || strings.Contains(log, "secret-dsn") {
				t.Errorf("log = %s", log)
			}
		})
	}
}
