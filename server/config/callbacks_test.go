package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// callbacks returns minimal.yaml whose flow has the keys of flow, with one entry
// for its scope whose secrets are those of the environment variables.
func callbacks(t *testing.T, flow string, variables ...string) string {
	t.Helper()
	list := `"${` + strings.Join(variables, `}", "${`) + `}"`
	return minimalWith(t, flow+"callbacks: [{project: acme, environment: live, secrets: ["+list+"]}]")
}

func TestCallbackSecretsAreKeptInTheirOrder(t *testing.T) {
	t.Parallel()
	names := []string{"VERIGATE_CALLBACK_LONGEST", "VERIGATE_CALLBACK_SHORTEST", "VERIGATE_CALLBACK_SECRET"}
	want := []config.Callbacks{{Scope: verification.Scope{Project: "acme", Environment: verification.Live}}}
	for _, name := range names {
		want[0].Secrets = append(want[0].Secrets, secret.New(environment()[name]))
	}
	if got := parse(t, callbacks(t, "", names...)).Callbacks; !reflect.DeepEqual(got, want) {
		t.Errorf("the secrets are not the three of the file, in its order")
	}
}

func TestFourCallbackSecretsAreTooMany(t *testing.T) {
	t.Parallel()
	got := problemsOf(t, []byte(callbacks(t, "", "VERIGATE_CALLBACK_LONGEST", "VERIGATE_CALLBACK_SHORTEST",
		"VERIGATE_CALLBACK_SECRET", "VERIGATE_CALLBACK_SECRET_OLD")), "f.yaml")
	want := "f.yaml:25: callbacks[0].secrets: has 4 entries, but may have at most 3: the newest first, and those that are being replaced\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestCallbacksOfAFlowNeedASecret breaks the entry in ways that say enough
// themselves.
func TestCallbacksOfAFlowNeedASecret(t *testing.T) {
	t.Parallel()
	const flow = "    callback_url: https://backend.example.com/\n"
	for name, test := range map[string]struct{ more, want string }{
		"no entry":                             {"", "flows[0].callback_url: needs a secret to sign callbacks with"},
		"an empty list":                        {"callbacks: []", "flows[0].callback_url: needs a secret to sign callbacks with"},
		"a list that is none":                  {"callbacks: true", "callbacks: must be a list"},
		"a list without a value":               {"callbacks:", "callbacks: has no value"},
		"a mistyped list":                      {"calbacks: []", "calbacks: is not a key here; did you mean callbacks?"},
		"an entry without secrets":             {"callbacks: [{project: acme, environment: live}]", "callbacks[0].secrets: is missing"},
		"an entry whose secrets are no list":   {"callbacks: [{project: acme, environment: live, secrets: a}]", "callbacks[0].secrets: must be a list"},
		"an entry whose secret is not there":   {"callbacks: [{project: acme, environment: live, secrets: ['${VERIGATE_NOT_SET}']}]", "callbacks[0].secrets[0]: the environment variable"},
		"an entry without its project":         {"callbacks: [{environment: live, secrets: ['${VERIGATE_CALLBACK_SECRET}']}]", "callbacks[0].project: is missing"},
		"an entry whose environment is broken": {"callbacks: [{project: acme, environment: [live], secrets: ['${VERIGATE_CALLBACK_SECRET}']}]", "callbacks[0].environment: must be a single value"},
	} {
		t.Run(name+" is told once", func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, []byte(minimalWith(t, flow+test.more)), "f.yaml")
			if !strings.Contains(got, ": "+test.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("got:\n%s\nwant only:\n%s", got, test.want)
			}
		})
	}
	t.Run("an entry of its scope is enough", func(t *testing.T) {
		t.Parallel()
		if got := parse(t, callbacks(t, flow, "VERIGATE_CALLBACK_SECRET")).Flows[0].CallbackURL; got != "https://backend.example.com/" {
			t.Errorf("got %q", got)
		}
	})
}

func TestTheWebhooksURLIsAnOrigin(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://Hooks.Example.com:443/": "https://hooks.example.com",
		"https://hooks.example.com:8444": "https://hooks.example.com:8444",
	} {
		t.Run(raw+" is brought into its normal form", func(t *testing.T) {
			t.Parallel()
			if got := parse(t, minimalWith(t, "webhooks_url: "+raw)); got.WebhooksURL != want || got.PublicURL != "https://verify.example.com" {
				t.Errorf("got %s beside %s", got.WebhooksURL, got.PublicURL)
			}
		})
	}
	for raw, want := range map[string]string{
		"https://hooks.example.com/webhooks": "must be an origin only",
		"http://127.0.0.1:8081":              "must begin with https://",
		"hooks.example.com":                  "is not a URL",
		`"https://*.example.com"`:            "wildcards are not allowed",
	} {
		t.Run(raw+" is refused", func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, []byte(minimalWith(t, "webhooks_url: "+raw)), "f.yaml")
			if !strings.HasPrefix(got, "f.yaml:25: webhooks_url: "+want) || strings.Count(got, "\n") != 1 {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
