package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/verigate/verigate/docs/integrate/devtest"
)

// site is the example backend on a gateway, for as long as the test runs.
type site struct {
	*httptest.Server

	// heard tells the status of each callback once it was answered, and which one
	// it was.
	heard chan string
}

// open serves a backend that calls the gateway at url with key.
func open(t *testing.T, url, key, callbackSecret string) *site {
	t.Helper()
	s := &site{Server: httptest.NewUnstartedServer(nil), heard: make(chan string, 64)}
	backend := &Backend{
		Gateway: gatewayAt(url, key), Flow: "kyc",
		Redirects:      map[string]string{"web": "http://localhost:5173/verified", "mobile": "myapp://verify-complete"},
		CallbackURL:    "http://" + s.Listener.Addr().String() + "/verigate/callbacks",
		CallbackSecret: callbackSecret,
		User:           demoUser, Users: NewUsers(), Log: slog.New(slog.DiscardHandler),
	}
	handler, err := backend.Handler()
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
		if r.URL.Path == "/verigate/callbacks" {
			s.heard <- fmt.Sprintf("%d %s", answer.Code, r.Header.Get("webhook-id"))
		}
	})
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// call makes one call as an app of user does.
func (s *site) call(t *testing.T, user, method, path, body string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Demo-User", user)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{}
	if response.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return response.StatusCode, answer
}

// start begins a verification, or goes on with one, and returns its id.
func (s *site) start(t *testing.T, user, app string) string {
	t.Helper()
	return s.post(t, user, `{"app":"`+app+`"}`)
}

// startAgain asks for a new try and returns its id.
func (s *site) startAgain(t *testing.T, user, app string) string {
	t.Helper()
	return s.post(t, user, `{"app":"`+app+`","again":true}`)
}

func (s *site) post(t *testing.T, user, body string) string {
	t.Helper()
	status, answer := s.call(t, user, http.MethodPost, "/verifications", body)
	id, _ := answer["id"].(string)
	if status != http.StatusOK || id == "" || answer["clientToken"] == "" {
		t.Fatalf("the start of %s answered %d: %v", user, status, answer)
	}
	return id
}

func (s *site) wantVerified(t *testing.T, user string, want bool) {
	t.Helper()
	if status, answer := s.call(t, user, http.MethodGet, "/me", ""); status != http.StatusOK || answer["verified"] != want {
		t.Errorf("GET /me of %s answered %d: %v, want verified %v", user, status, answer, want)
	}
}

// waitFor waits until a callback was taken.
func (s *site) waitFor(t *testing.T, id string, version int) {
	t.Helper()
	want := fmt.Sprintf("%d %s.%d", http.StatusNoContent, id, version)
	late := time.After(devtest.Patience)
	for {
		select {
		case got := <-s.heard:
			if got == want {
				return
			}
		case <-late:
			t.Fatalf("no callback was answered with %s", want)
		}
	}
}

func TestABackendSeesItsUsersThrough(t *testing.T) {
	t.Parallel()
	g := devtest.Start(t)
	s := open(t, g.URL, g.Key, g.CallbackSecret)

	ada := s.start(t, "ada", "mobile")
	if again := s.start(t, "ada", "mobile"); again != ada {
		t.Errorf("asked again, the app got %s, want the open verification %s", again, ada)
	}
	if again := s.startAgain(t, "ada", "mobile"); again != ada {
		t.Errorf("asked for a new try, the app got %s, want the open verification %s", again, ada)
	}
	bob := s.start(t, "bob", "web")
	if page := g.Run(t, "sandbox", "complete", bob, "--outcome", "fail"); !strings.Contains(page, "http://localhost:5173/verified") {
		t.Errorf("the person of the web app was not sent back to it:\n%s", page)
	}
	// created, pending, processing, declined
	s.waitFor(t, bob, 4)
	s.wantVerified(t, "bob", false)
	if again := s.start(t, "bob", "web"); again != bob {
		t.Errorf("the app that lost everything got %s, want the last verification %s", again, bob)
	}
	second := s.startAgain(t, "bob", "web")
	if second == bob {
		t.Error("a new try after a failure returned the old verification")
	}
	if again := s.start(t, "bob", "web"); again != second {
		t.Errorf("during the second try the app got %s, want %s", again, second)
	}

	s.wantVerified(t, "ada", false)
	if page := g.Run(t, "sandbox", "complete", ada, "--outcome", "pass"); !strings.Contains(page, "myapp://verify-complete") {
		t.Errorf("the person was not sent back to the mobile app:\n%s", page)
	}
	s.waitFor(t, ada, 4)
	s.wantVerified(t, "ada", true)
	s.wantVerified(t, "eve", false)
	if again := s.startAgain(t, "ada", "mobile"); again != ada {
		t.Errorf("a verified user was given a new verification, %s", again)
	}

	// A reviewer turns it over.
	g.Run(t, "sandbox", "case", ada, "--result", "declined", "--reason", "FAKE_ID")
	s.waitFor(t, ada, 5)
	s.wantVerified(t, "ada", false)
	if again := s.startAgain(t, "ada", "mobile"); again == ada {
		t.Error("after the revision a new try returned the old verification")
	}
}

func TestAForgedCallbackChangesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, "http://127.0.0.1:1", "vg_test_key", secret)
	if status, _ := s.call(t, "", http.MethodPost, "/verigate/callbacks", `{"verificationId":"a","version":"9"}`); status != http.StatusUnauthorized {
		t.Errorf("a callback without a signature answered %d, want 401", status)
	}
}

const secret = "whsec_c2FuZGJveC1jYWxsYmFjay1zZWNyZXQtMzItYnl0ZXM="

// The gateway cannot be reached: nothing is lost, because it asks again.
func TestWithoutTheGatewayTheAppIsToldToRetryAndCallbacksComeAgain(t *testing.T) {
	t.Parallel()
	s := open(t, "http://127.0.0.1:1", "vg_test_key", secret)
	if status, _ := s.call(t, "ada", http.MethodPost, "/verifications", `{"app":"web"}`); status != http.StatusServiceUnavailable {
		t.Errorf("a start answered %d, want 503", status)
	}
	signer, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	body, now := []byte(`{"id":"a.1","verificationId":"0197a3c2-7c11-7d3e-9a52-0d4f6f1b2c3d","version":"1"}`), time.Now()
	signature, err := signer.Sign("a.1", now, body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/verigate/callbacks", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("webhook-id", "a.1")
	request.Header.Set("webhook-timestamp", fmt.Sprint(now.Unix()))
	request.Header.Set("webhook-signature", signature)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusInternalServerError {
		t.Errorf("the callback answered %d, want 500", response.StatusCode)
	}
}

func TestWhatAnAppMayNotAsk(t *testing.T) {
	t.Parallel()
	g := devtest.Start(t)
	s := open(t, g.URL, "vg_test_0123456789abcdef_"+strings.Repeat("A", 43), secret)
	for _, c := range []struct {
		name, user, body string
		status           int
	}{
		{"nobody is logged in", "", `{"app":"web"}`, http.StatusUnauthorized},
		{"an app that there is not", "ada", `{"app":"https://evil.example"}`, http.StatusBadRequest},
		{"no JSON", "ada", `web`, http.StatusBadRequest},
		{"the gateway refuses the key", "ada", `{"app":"web"}`, http.StatusInternalServerError},
	} {
		if status, _ := s.call(t, c.user, http.MethodPost, "/verifications", c.body); status != c.status {
			t.Errorf("%s: answered %d, want %d", c.name, status, c.status)
		}
	}
}
