package config_test

import (
	"strings"
	"testing"
)

// TestOneMistakeIsOneProblem breaks one thing on which others depend.
func TestOneMistakeIsOneProblem(t *testing.T) {
	t.Parallel()
	const (
		flow   = "    end_users: true\n"
		issuer = "issuer: 'https://auth.example.com', audiences: [verigate]"
	)
	for name, test := range map[string]struct{ more, want string }{
		"a list of issuers that is none": {
			flow + "end_users: true", "end_users: must be a list",
		},
		"an issuer without its project": {
			flow + "end_users: [{environment: live, " + issuer + "}]", "end_users[0].project: is missing",
		},
		"an issuer whose project cannot be read": {
			flow + "end_users: [{project: [acme], environment: live, " + issuer + "}]", "end_users[0].project: must be a single value",
		},
		"an issuer whose environment does not exist": {
			flow + "end_users: [{project: acme, environment: lvie, " + issuer + "}]", "end_users[0].environment: must be live or test",
		},
		"a bound for each subject that is mistyped": {
			flow + "    max_open_per_subjct: 0\nend_users: [{project: acme, environment: live, " + issuer + "}]",
			"flows[0].max_open_per_subjct: is not a key here; did you mean max_open_per_subject?",
		},
		"a public listener that cannot be read, beside its default for another": {
			"listeners: {public: [a], operator: {address: '127.0.0.1:8080'}}", "listeners.public: must be keys and values",
		},
		"a public address that is none, beside its default for another": {
			"listeners: {public: {address: a}, operator: {address: '127.0.0.1:8080'}}", `listeners.public.address: "a" is not an address`,
		},
		"a certificate that cannot be read, on a port of two": {
			"listeners: {public: {address: ':1', tls: a}, webhooks: {address: ':1', tls: b}}",
			"listeners.public.tls: must be keys and values\nf.yaml:25: listeners.webhooks.tls: must be keys and values",
		},
		"a limit that is a list": {
			"limits: {per_key: [1/s]}", "limits.per_key: must be a single value",
		},
	} {
		t.Run(name+" is told once", func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, []byte(minimalWith(t, test.more)), "f.yaml")
			if !strings.Contains(got, ": "+test.want) || strings.Count(got, "\n") != strings.Count(test.want, "\n")+1 {
				t.Errorf("got:\n%s\nwant only:\n%s", got, test.want)
			}
		})
	}
}
