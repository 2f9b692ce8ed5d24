package config_test

import (
	"testing"
	"time"

	"github.com/verigate/verigate/server/config"
)

func TestRatesAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Rate{
		"1/s": {Count: 1, Per: time.Second}, "600/m": {Count: 600, Per: time.Minute}, `"1000000/h"`: {Count: 1_000_000, Per: time.Hour},
		"007/s": {Count: 7, Per: time.Second},
	} {
		t.Run(text+" is a rate", func(t *testing.T) {
			t.Parallel()
			if got := parse(t, minimalWith(t, "limits: {per_address: "+text+"}")).Limits.PerAddress; got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestEachLimitIsItsOwn(t *testing.T) {
	t.Parallel()
	got := parse(t, minimalWith(t, "limits: {per_key: 1/s, per_subject: 2/s, starts_per_subject: 3/s, per_address: 4/s, webhooks_per_address: 5/s}")).Limits
	rate := func(count int) config.Rate { return config.Rate{Count: count, Per: time.Second} }
	if want := (config.Limits{
		PerKey: rate(1), PerSubject: rate(2), StartsPerSubject: rate(3), PerAddress: rate(4), WebhooksPerAddress: rate(5),
	}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestOpenVerificationsAreBounded(t *testing.T) {
	t.Parallel()
	const issuer = "end_users: [{project: acme, environment: live, issuer: 'https://auth.example.com', audiences: [verigate]}]"
	for name, test := range map[string]struct {
		flow                string
		open, openOfSubject int
	}{
		"nothing":                           {"", 0, 0},
		"both bounds":                       {"    max_open: 1000000\n    max_open_per_subject: 3\n", 1_000_000, 3},
		"no bound on purpose":               {"    max_open: 0\n    max_open_per_subject: 0\n", 0, 0},
		"end users and nothing":             {"    end_users: true\n", 0, 5},
		"end users and a bound":             {"    end_users: true\n    max_open_per_subject: 1\n", 0, 1},
		"no end users and nothing besides":  {"    end_users: false\n", 0, 0},
		"no end users and no bound written": {"    end_users: false\n    max_open_per_subject: 0\n", 0, 0},
	} {
		t.Run(name+" gives its bounds", func(t *testing.T) {
			t.Parallel()
			source := string(readTestFile(t, "testdata/minimal.yaml")) + test.flow + issuer + "\n"
			got := parse(t, source).Flows[0]
			if got.MaxOpen != test.open || got.MaxOpenPerSubject != test.openOfSubject {
				t.Errorf("got %d and %d", got.MaxOpen, got.MaxOpenPerSubject)
			}
		})
	}
}

func TestRetentionReachesItsBounds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"1h": time.Hour, "3650d": 3650 * 24 * time.Hour} {
		t.Run(text+" is accepted", func(t *testing.T) {
			t.Parallel()
			if got := parse(t, minimalWith(t, "retention: {deliveries: "+text+"}")).Retention.Deliveries; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
