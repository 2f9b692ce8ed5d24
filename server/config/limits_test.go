package config_test

import (
	"strings"
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

func TestHistoryOutlastsWhatIsAboutIt(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		section string
		want    time.Duration
	}{
		"nothing is 400 days":               {"{}", 400 * day},
		"the shortest":                      {"{deliveries: 1h, events: 1d, history: 49h}", 49 * time.Hour},
		"the longest":                       {"{history: 3650d}", 3650 * day},
		"no less than deliveries by itself": {"{deliveries: 500d}", 500 * day},
		"no less than events by itself":     {"{events: 3650d}", 3650 * day},
		"as long as its events":             {"{history: 90d}", 90 * day},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := parse(t, minimalWith(t, "retention: "+c.section)).Retention.History; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	for section, want := range map[string]string{
		"{history: 89d}":                            "must be at least as long as retention.events, 90d",
		"{deliveries: 500d, history: 400d}":         "must be at least as long as retention.deliveries, 500d",
		"{deliveries: 1h, events: 1d, history: 1d}": "must be at least as long as flows[0].lifetime and its grace, 25h",
		"{history: 23h}":                            "must be between 1d and 3650d",
		"{history: 3651d}":                          "must be between 1d and 3650d",
	} {
		t.Run(section+" is refused", func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, []byte(minimalWith(t, "retention: "+section)), "f.yaml")
			if !strings.Contains(got, ": retention.history: is ") || !strings.Contains(got, want) || strings.Count(got, "retention.history") != 1 {
				t.Errorf("it says %s, want %s", got, want)
			}
		})
	}
}
