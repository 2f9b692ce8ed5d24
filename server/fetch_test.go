package server_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/verifyhuman"
	"github.com/verigate/verigate/server/sandbox"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// The adapter's Fetcher against the sandbox's mobile status endpoints: two
// readings of the same documentation that share no code.
func TestTheAdapterFetchesWhatTheSandboxKnows(t *testing.T) {
	t.Parallel()
	var emulator *sandbox.VerifyHuman
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { emulator.ServeHTTP(w, r) }))
	t.Cleanup(host.Close)
	key := secret.New("vhk_test_fetch")
	emulator, err := sandbox.NewVerifyHuman(sandbox.Options{
		BaseURL: host.URL, APIKey: key, WebhookURL: host.URL + "/unused", WebhookSecret: secret.New("whsec_x"), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = emulator.Close(t.Context()) })
	settings := verifyhuman.New().(*verifyhuman.Settings)
	settings.BaseURL, settings.APIKey, settings.ClientKey = host.URL, key, key
	settings.WebhookSecrets, settings.Environment = []secret.Value{secret.New("whsec_x")}, verification.Test
	adapter, err := settings.Open(provider.Deps{HTTP: host.Client(), Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	fetcher := adapter.(provider.Fetcher)
	for _, product := range []string{"verifyhuman", "verifyage", "verifyidentity", "verifycompliance"} {
		for outcome, want := range map[sandbox.Outcome]verification.EventKind{
			sandbox.Pass: verification.Passed, sandbox.Fail: verification.Rejected,
		} {
			id, err := emulator.AddMobileSession(product, outcome)
			if err != nil {
				t.Fatal(err)
			}
			ref := "session:" + id
			if strings.HasPrefix(id, "ver_") {
				ref = "verification:" + id
			}
			if event, err := fetcher.Fetch(t.Context(), product, ref); err != nil || event.Kind != want {
				t.Errorf("%s, %s: fetched %q, %v; want %q", product, outcome, event.Kind, err, want)
			}
		}
	}
}
