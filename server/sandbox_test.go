package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/provider/verifyhuman"
	"github.com/verigate/verigate/server/sandbox"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

const (
	labKey    = "marked_lab_key"
	labSecret = "whsec_marked_lab"
)

// lab is a gateway whose provider is an emulated VerifyHuman, over real HTTP
// both ways.
type lab struct {
	*gateway

	emulator *sandbox.VerifyHuman
	sandbox  string
	// attempts are the outcomes of the emulator's webhooks.
	attempts chan sandbox.Delivery
	// detour, if set, answers in the emulator's place.
	detour atomic.Pointer[http.HandlerFunc]
}

func newLab(t *testing.T, faults sandbox.Faults) *lab {
	t.Helper()
	return newLabWith(t, faults, func(change func(*config.Config)) *gateway {
		return openDeveloping(t, pgtest.New(t), change)
	})
}

// newLabWith is a lab around a node that somebody else opens.
func newLabWith(t *testing.T, faults sandbox.Faults, opened func(change func(*config.Config)) *gateway) *lab {
	t.Helper()
	provider := httptest.NewUnstartedServer(nil)
	l := &lab{sandbox: "http://" + provider.Listener.Addr().String(), attempts: make(chan sandbox.Delivery, 100)}
	l.gateway = opened(l.configure)
	emulator, err := sandbox.NewVerifyHuman(sandbox.Options{
		BaseURL: l.sandbox, APIKey: secret.New(labKey), WebhookURL: l.url + "/webhooks/vh", WebhookSecret: secret.New(labSecret),
		WebhookDelay: -1, Now: time.Now, Faults: faults, Retry: sandbox.Retry{Attempts: 2, Base: time.Millisecond},
		OnDelivery: func(d sandbox.Delivery) { l.attempts <- d },
		Flows: []sandbox.Flow{
			{Slug: "age-gate", Product: "verifyage", RedirectURL: "myapp://adult", FailureRedirectURL: "myapp://minor"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.emulator = emulator
	provider.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if detour := l.detour.Load(); detour != nil {
			(*detour)(w, r)
			return
		}
		emulator.ServeHTTP(w, r)
	})
	provider.Start()
	t.Cleanup(func() {
		if err := emulator.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Close: %v", err)
		}
		provider.Close()
	})
	return l
}

func (l *lab) configure(c *config.Config) {
	settings, _ := verifyhuman.New().(*verifyhuman.Settings)
	settings.BaseURL, settings.APIKey = l.sandbox, secret.New(labKey)
	settings.WebhookSecrets = []secret.Value{secret.New("whsec_rotated_out"), secret.New(labSecret)}
	settings.Timeout = time.Second
	settings.SetEnvironment(verification.Test)
	c.Connections = append(c.Connections, config.Connection{
		Name: "vh", Scope: shopTest(), Provider: verifyhuman.Name, Dedicated: true, Settings: settings,
	})
	flow := verification.Flow{
		Scope: shopTest(), Connection: "vh", Lifetime: time.Hour, Grace: time.Hour,
		ReturnWindow: time.Minute, Inferred: true, AllowedRedirects: []string{"myapp://"},
	}
	hosted, stable, exact := flow, flow, flow
	hosted.Name, hosted.Product = "hosted", "verifyidentity"
	stable.Name, stable.Product, stable.HostedURL = "age-gate", "verifyage", l.sandbox+"/flow/age-gate"
	exact.Name, exact.Product, exact.Inferred = "exact", "verifyhuman", false
	c.Flows = append(c.Flows, hosted, stable, exact)
}

// begin starts a verification whose person goes back to the app.
func (l *lab) begin(flow string) *verigatev1.StartVerificationResponse {
	l.t.Helper()
	started, err := l.api(l.key).StartVerification(l.t.Context(), &verigatev1.StartVerificationRequest{
		Flow: flow, Subject: "s", RedirectUrl: "myapp://done", FailureRedirectUrl: "myapp://sorry",
	})
	if err != nil {
		l.t.Fatalf("StartVerification: %v", err)
	}
	return started
}

// complete presses a button of the hosted page and returns where it leads.
func (l *lab) complete(hostedURL, outcome string) string {
	l.t.Helper()
	address := strings.Replace(hostedURL, "/hosted/v/", "/hosted/complete/", 1)
	if strings.Contains(hostedURL, "/flow/") {
		address = hostedURL + "/complete"
	}
	request, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, address, strings.NewReader(`{"outcome":"`+outcome+`"}`))
	if err != nil {
		l.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := newHTTPClient(l.t, false, "").Do(request)
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var done struct {
		RedirectURL string `json:"redirect_url"`
	}
	if err := json.NewDecoder(response.Body).Decode(&done); err != nil || response.StatusCode != http.StatusOK {
		l.t.Fatalf("completing: %d, %v", response.StatusCode, err)
	}
	return done.RedirectURL
}

// settled waits until the emulator will not try a webhook again.
func (l *lab) settled() sandbox.Delivery {
	l.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case d := <-l.attempts:
			if d.Final {
				return d
			}
		case <-deadline:
			l.t.Fatal("the emulator's webhook is still on its way")
		}
	}
}

func TestEveryOutcomeReachesTheAppByStreamAndDeepLink(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[string]struct {
		state verigatev1.VerificationState
		home  string
	}{
		"pass": {approved, "myapp://done"}, "fail": {declined, "myapp://sorry"}, "deny": {declined, "myapp://sorry"},
	} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, sandbox.Faults{})
			started := l.begin("hosted")
			updates := watch(t, l.api(started.GetClientToken()), &verigatev1.WatchStatusRequest{Id: started.GetVerification().GetId()})
			if first := updates.next(); first.GetState() != pending {
				t.Errorf("it began as %v", first.GetState())
			}
			leg := l.complete(started.GetHostedUrl(), outcome)
			if !strings.HasPrefix(leg, l.url+"/return/") {
				t.Fatalf("the provider sends the person to %q, want a leg of the gateway", leg)
			}
			if a := l.call(http.MethodGet, strings.TrimPrefix(leg, l.url), ""); a.header.Get("Location") != want.home {
				t.Errorf("the person goes to %q, want %s", a.header.Get("Location"), want.home)
			}
			last := updates.next()
			for !last.GetTerminal() {
				last = updates.next()
			}
			if last.GetState() != want.state {
				t.Errorf("it ended as %v, want %v", last.GetState(), want.state)
			}
			updates.end()
		})
	}
}

func TestAnAbandonedPageCanBeFinishedLater(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Faults{})
	started := l.begin("hosted")
	id := started.GetVerification().GetId()
	if home := l.complete(started.GetHostedUrl(), "abandon"); home != "" {
		t.Errorf("leaving leads to %q", home)
	}
	if v := l.state(id); v.GetState() != pending || v.GetVersion() != 2 {
		t.Errorf("after leaving it is %v", v)
	}
	l.complete(started.GetHostedUrl(), "pass")
	if d := l.settled(); !d.OK() {
		t.Fatalf("the webhook was answered %d", d.StatusCode)
	}
	if v := l.state(id); v.GetState() != approved {
		t.Errorf("after passing it is %v", v.GetState())
	}
}

func TestWithoutRedirectsThePersonStaysOnTheResultPage(t *testing.T) {
	t.Parallel()
	for _, outcome := range []string{"pass", "fail", "deny"} {
		l := newLab(t, sandbox.Faults{})
		started, err := l.api(l.key).StartVerification(t.Context(), &verigatev1.StartVerificationRequest{Flow: "hosted", Subject: "s"})
		if err != nil {
			t.Fatal(err)
		}
		if home := l.complete(started.GetHostedUrl(), outcome); home != "" {
			t.Errorf("%s leads to %q", outcome, home)
		}
	}
}

func TestAStablePageIsTheSameForEverybodyAndStillDecides(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Faults{})
	started := l.begin("age-gate")
	if started.GetHostedUrl() != l.sandbox+"/flow/age-gate" {
		t.Errorf("the page is %q", started.GetHostedUrl())
	}
	if home := l.complete(started.GetHostedUrl(), "pass"); home != "myapp://adult" {
		t.Errorf("the provider's own setting leads to %q", home)
	}
	if d := l.settled(); !d.OK() {
		t.Fatalf("the webhook was answered %d", d.StatusCode)
	}
	if v := l.state(started.GetVerification().GetId()); v.GetState() != approved || v.GetMatch() != verigatev1.VerificationMatch_VERIFICATION_MATCH_INFERRED {
		t.Errorf("it is %v", v)
	}
}

func TestTwoOpenOnesAndOneWebhookDecideNobody(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Faults{})
	one, two := l.begin("hosted"), l.begin("hosted")
	l.complete(one.GetHostedUrl(), "pass")
	if d := l.settled(); !d.OK() {
		t.Fatalf("the webhook was answered %d", d.StatusCode)
	}
	for _, started := range []*verigatev1.StartVerificationResponse{one, two} {
		if v := l.state(started.GetVerification().GetId()); v.GetState() != pending {
			t.Errorf("%s was guessed to be %v", v.GetId(), v.GetState())
		}
	}
	if n := l.metric(`verigate_deliveries_parked_total{connection="vh"}`); n != 1 {
		t.Errorf("%v deliveries parked, want 1", n)
	}
}

func TestAnExactFlowNeverGuesses(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Faults{})
	started := l.begin("exact")
	l.complete(started.GetHostedUrl(), "pass")
	if d := l.settled(); !d.OK() {
		t.Fatalf("the webhook was answered %d", d.StatusCode)
	}
	if v := l.state(started.GetVerification().GetId()); v.GetState() != pending {
		t.Errorf("it was guessed to be %v", v.GetState())
	}
}
