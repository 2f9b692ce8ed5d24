package config_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

func TestParseFillsInTheDefaults(t *testing.T) {
	t.Parallel()
	got := parse(t, string(readTestFile(t, "testdata/minimal.yaml")))
	tolerance := (*time.Duration)(nil)
	scope := verification.Scope{Project: "acme", Environment: verification.Live}
	want := &config.Config{
		PublicURL:   "https://verify.example.com",
		WebhooksURL: "https://verify.example.com",
		Listeners: config.Listeners{
			Public:   config.Listener{Address: "127.0.0.1:8080"},
			Webhooks: config.Listener{Address: "127.0.0.1:8081"},
			Operator: config.Listener{Address: "127.0.0.1:8082"},
		},
		TrustedProxies:  []netip.Prefix{},
		DatabaseURL:     secret.New(environment()["VERIGATE_DATABASE_URL"]),
		ClientTokenKeys: []config.Key{{ID: "k1", Secret: secret.New(environment()["VERIGATE_CLIENT_TOKEN_KEY"])}},
		EncryptionKeys:  []config.Key{{ID: "e1", Secret: secret.New(environment()["VERIGATE_ENCRYPTION_KEY"])}},
		Retention:       config.Retention{Deliveries: 30 * 24 * time.Hour, Events: 90 * 24 * time.Hour, History: 400 * 24 * time.Hour},
		Origins:         []string{},
		EndUsers:        []config.EndUsers{},
		Callbacks:       []config.Callbacks{},
		Limits: config.Limits{
			PerKey:             config.Rate{Count: 200, Per: time.Second},
			PerSubject:         config.Rate{Count: 10, Per: time.Second},
			StartsPerSubject:   config.Rate{Count: 60, Per: time.Hour},
			PerAddress:         config.Rate{Count: 200, Per: time.Second},
			WebhooksPerAddress: config.Rate{Count: 1000, Per: time.Second},
		},
		Outgoing: config.Outgoing{AllowedNetworks: []netip.Prefix{}},
		Watch: config.Watch{
			Heartbeat: 15 * time.Second, MaxAge: 10 * time.Minute, PollInterval: 500 * time.Millisecond,
			MaxWatchers: 20_000, MaxPerToken: 16, MaxPerKey: 5_000,
		},
		Bus:   config.Bus{Kind: config.BusPostgres},
		Drain: 20 * time.Second,
		Connections: []config.Connection{{
			Name: "verifyhuman-live", Scope: scope, Provider: "verifyhuman",
			Settings: &fakeSettings{
				Shared:         sharedSettings{BaseURL: "https://app.verifyhuman.io", Timeout: 10 * time.Second},
				APIKey:         secret.New(environment()["VERIFYHUMAN_API_KEY"]),
				WebhookSecrets: []secret.Value{secret.New(environment()["VERIFYHUMAN_WEBHOOK_SECRET"])},
				Tolerance:      tolerance,
				Environment:    verification.Live,
			},
		}},
		Flows: []verification.Flow{{
			Name: "identity", Scope: scope, Connection: "verifyhuman-live", Product: "verifyidentity",
			ReturnWindow: time.Minute, Lifetime: time.Hour, Grace: 24 * time.Hour, FetchAfter: 2 * time.Minute,
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseInDevelopment(t *testing.T) {
	t.Parallel()
	source := readTestFile(t, "testdata/development.yaml")
	t.Run("quick times and http on loopback are accepted", func(t *testing.T) {
		t.Parallel()
		got, err := config.Parse(source, "verigate.yaml", registry(), true)
		if err != nil {
			t.Fatal(err)
		}
		if got.PublicURL != "http://127.0.0.1:8080" || got.Listeners.Operator.Address != "127.0.0.1:0" || got.Watch.Heartbeat != 100*time.Millisecond ||
			!reflect.DeepEqual(got.Origins, []string{"http://localhost:5173", "http://[::1]"}) {
			t.Errorf("got %+v", got)
		}
		if got.EndUsers[0].Issuer != "http://127.0.0.1:8080/sandbox/issuer" || len(got.Outgoing.AllowedNetworks) != 2 {
			t.Errorf("got the issuer %+v and the networks %v", got.EndUsers[0], got.Outgoing.AllowedNetworks)
		}
		if got.WebhooksURL != "http://127.0.0.1:8081" || got.Retention.Events != time.Second {
			t.Errorf("webhooks arrive at %s, events are kept for %s", got.WebhooksURL, got.Retention.Events)
		}
		if flow := got.Flows[0]; !flow.Inferred || flow.Lifetime != time.Second || flow.FetchAfter != 100*time.Millisecond || flow.Scope.Environment != verification.Test {
			t.Errorf("got the flow %+v", flow)
		}
		if settings, ok := got.Connections[0].Settings.(*fakeSettings); !ok || !settings.Development || settings.Environment != verification.Test {
			t.Errorf("the settings were validated as %+v", got.Connections[0].Settings)
		}
	})
	t.Run("the same file is refused in production", func(t *testing.T) {
		t.Parallel()
		problems := problemsOf(t, source, "verigate.yaml")
		for _, path := range []string{
			"public_url", "webhooks_url", "retention.events", "cors.origins[0]", "cors.origins[1]", "watch.heartbeat", "watch.max_age", "watch.poll_interval",
			"flows[0].hosted_url", "flows[0].lifetime", "flows[0].reconcile_after", "listeners.operator.address", "end_users[0].issuer", "end_users[0].jwks_url",
			"outgoing.allowed_networks[0]", "outgoing.allowed_networks[1]",
		} {
			if !strings.Contains(problems, ": "+path+": ") {
				t.Errorf("nothing is said about %s in:\n%s", path, problems)
			}
		}
	})
}

func TestParseReadsUnusualSettings(t *testing.T) {
	t.Parallel()
	source := strings.Replace(string(readTestFile(t, "testdata/broken/heartbeat.yaml")), "max_age: 50s", "max_age: 2m", 1)
	source = strings.Replace(source, "provider: loose", "provider: loose, settings: {limits: {a: 1}, retries: 3, "+
		"share: 0.5, strict: false, labels: {x: y}, by_code: {7: z}, any: [1, two], plain: 123}", 1)
	strict := false
	want := &looseSettings{
		Limits: map[string]int{"a": 1}, Retries: 3, Share: 0.5, Strict: &strict,
		Labels: map[string]string{"x": "y"}, ByCode: map[int]string{7: "z"}, Any: []any{1, "two"}, Plain: "123",
	}
	if got := parse(t, source).Connections[0].Settings; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseKeepsNothing(t *testing.T) {
	t.Parallel()
	source := readTestFile(t, "testdata/minimal.yaml")
	first, second := parse(t, string(source)), parse(t, string(source))
	if !reflect.DeepEqual(first, second) {
		t.Error("the same file gave two answers")
	}
	if first.Connections[0].Settings == second.Connections[0].Settings {
		t.Error("two configurations share one value")
	}
}

func TestParseUnderstandsDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"30d": 30 * 24 * time.Hour, "1h30m": 90 * time.Minute, "0": 0, "0d": 0, "2.5h": 150 * time.Minute, `"90s"`: 90 * time.Second,
	} {
		t.Run("grace "+text+" is read", func(t *testing.T) {
			t.Parallel()
			got := parse(t, string(readTestFile(t, "testdata/minimal.yaml"))+"    grace: "+text+"\n").Flows[0].Grace
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	t.Run("a good file is read as production", func(t *testing.T) {
		t.Parallel()
		got, err := config.Load("testdata/minimal.yaml", registry())
		if err != nil {
			t.Fatal(err)
		}
		if settings, ok := got.Connections[0].Settings.(*fakeSettings); !ok || settings.Development {
			t.Error("the settings were validated as in development")
		}
	})
	t.Run("a file that is not there is no Errors", func(t *testing.T) {
		t.Parallel()
		_, err := config.Load(filepath.Join(t.TempDir(), "verigate.yaml"), registry())
		if _, isProblems := errors.AsType[config.Errors](err); isProblems || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a directory cannot be read", func(t *testing.T) {
		t.Parallel()
		if _, err := config.Load(t.TempDir(), registry()); err == nil || !strings.Contains(err.Error(), "is a directory") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a huge file is refused by its size", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "huge.yaml")
		if err := os.WriteFile(path, make([]byte, 2<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(path, registry()); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
			t.Errorf("got %v", err)
		}
	})
}
