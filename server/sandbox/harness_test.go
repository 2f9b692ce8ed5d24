package sandbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/sandbox"
	"github.com/verigate/verigate/server/secret"
)

const (
	apiKey        = "vhk_test_key"
	clientKey     = "vhk_test_publishable"
	webhookSecret = "whsec_demo_verifyhuman"
	prefix        = "/sandbox/verifyhuman"
	patience      = 20 * time.Second
)

// lab is an emulator behind a mount prefix, and a receiver for its webhooks.
type lab struct {
	t        *testing.T
	url      string
	emulator *sandbox.VerifyHuman
	receiver *receiver
	attempts chan sandbox.Delivery
	clock    *clock
	client   *http.Client
}

// open starts a lab whose webhooks are sent at once; change adjusts that.
func open(t *testing.T, change func(*sandbox.Options)) *lab {
	t.Helper()
	l := &lab{
		t:        t,
		receiver: newReceiver(t),
		attempts: make(chan sandbox.Delivery, 4096),
		clock:    &clock{now: time.Date(2026, time.May, 17, 10, 30, 0, 0, time.UTC)},
		client:   newClient(t),
	}
	server := httptest.NewUnstartedServer(nil)
	l.url = "http://" + server.Listener.Addr().String() + prefix
	options := sandbox.Options{
		BaseURL: l.url + "/", APIKey: secret.New(apiKey), ClientKey: secret.New(clientKey),
		WebhookURL: l.receiver.url, WebhookSecret: secret.New(webhookSecret),
		WebhookDelay: -1, Now: l.clock.read, OnDelivery: func(d sandbox.Delivery) { l.attempts <- d },
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Flows: []sandbox.Flow{
			{Slug: "age-gate", Product: "verifyage", RedirectURL: "myapp://adult", FailureRedirectURL: "myapp://minor"},
			{Slug: "plain", Product: "verifyhuman", PageTitle: "Are you human?"},
		},
	}
	if change != nil {
		change(&options)
	}
	emulator, err := sandbox.NewVerifyHuman(options)
	if err != nil {
		t.Fatalf("NewVerifyHuman: %v", err)
	}
	l.emulator = emulator
	server.Config.Handler = http.StripPrefix(prefix, emulator)
	server.Start()
	t.Cleanup(func() {
		if err := emulator.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Close: %v", err)
		}
		server.Close()
	})
	return l
}

func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("answer %d is not JSON: %v: %s", a.status, err, a.body)
	}
}

// call sends a request with header lines such as "X-Api-Key: k". It may be used
// in any goroutine: a failure is reported and answered with nothing.
func (l *lab) call(method, path, body string, headers ...string) answer {
	l.t.Helper()
	a, err := l.try(method, path, body, headers)
	if err != nil {
		l.t.Errorf("%s %s: %v", method, path, err)
	}
	return a
}

func (l *lab) try(method, path, body string, headers []string) (answer, error) {
	request, err := http.NewRequestWithContext(l.t.Context(), method, l.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	response, err := l.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: string(text)}, err
}

const (
	bearer   = "Authorization: Bearer " + apiKey
	asJSON   = "Content-Type: application/json"
	asForm   = "Content-Type: application/x-www-form-urlencoded"
	identity = `{"product":"verifyidentity"}`
)

// control calls a route that needs the API key.
func (l *lab) control(method, path, body string) answer {
	l.t.Helper()
	return l.call(method, path, body, bearer, asJSON)
}

// token makes a hosted session.
func (l *lab) token(body string) string {
	l.t.Helper()
	a := l.control(http.MethodPost, "/hosted/generate", body)
	if a.status != http.StatusOK {
		l.t.Fatalf("generate: %d %s", a.status, a.body)
	}
	var made struct{ Token string }
	a.decode(l.t, &made)
	return made.Token
}

// complete ends a session's run, with faults if any.
func (l *lab) complete(token, outcome, faults string) answer {
	l.t.Helper()
	body := fmt.Sprintf(`{"outcome":%q}`, outcome)
	if faults != "" {
		body = fmt.Sprintf(`{"outcome":%q,"faults":%s}`, outcome, faults)
	}
	return l.call(http.MethodPost, "/hosted/complete/"+token, body, asJSON)
}

// run makes a session, ends it and returns its webhook.
func (l *lab) run(outcome, faults string) hook {
	l.t.Helper()
	if a := l.complete(l.token(identity), outcome, faults); a.status != http.StatusOK {
		l.t.Fatalf("complete: %d %s", a.status, a.body)
	}
	return take(l.t, l.receiver.hooks)
}
