package enduser_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/access/enduser"
)

func someDeps() enduser.Deps {
	return enduser.Deps{HTTP: &http.Client{}, Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

func TestAGoodConfigIsAccepted(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"https://login.shop.example", "https://login.shop.example/", "https://login.shop.example:8443/realms/shop",
		"http://127.0.0.1:8080/sandbox/issuer", "http://localhost:8080", "http://[::1]:8080",
	} {
		if _, err := enduser.New([]enduser.Config{configOf(url)}, someDeps()); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	v, err := enduser.New(nil, someDeps())
	if err != nil || v.Knows("a.b.c") {
		t.Errorf("without issuers: %v, or it knows a token", err)
	}
}

func TestABadConfigIsRefusedByItsField(t *testing.T) {
	t.Parallel()
	const name = "https://login.shop.example"
	for sentence, c := range map[string]struct {
		change func(*enduser.Config)
		want   string
	}{
		"no issuer":                      {func(c *enduser.Config) { c.Issuer = "" }, "issuer: must be an absolute https URL"},
		"an issuer over plain http":      {func(c *enduser.Config) { c.Issuer = "http://login.shop.example" }, "issuer: must be an https URL"},
		"an issuer at a look-alike":      {func(c *enduser.Config) { c.Issuer = "http://localhost.example" }, "issuer: must be an https URL"},
		"an issuer with a query":         {func(c *enduser.Config) { c.Issuer = name + "?a=b" }, "issuer: must have no query"},
		"an issuer with an empty query":  {func(c *enduser.Config) { c.Issuer = name + "?" }, "issuer: must have no query"},
		"an issuer with a fragment":      {func(c *enduser.Config) { c.Issuer = name + "#" }, "issuer: must be an absolute"},
		"an issuer with a user":          {func(c *enduser.Config) { c.Issuer = "https://u@login.shop.example" }, "issuer: must be an absolute"},
		"an issuer without a host":       {func(c *enduser.Config) { c.Issuer = "https://:443/a" }, "issuer: must be an absolute"},
		"an issuer that is no URL":       {func(c *enduser.Config) { c.Issuer = "login.shop.example" }, "issuer: must be an absolute"},
		"no audience":                    {func(c *enduser.Config) { c.Audiences = nil }, "audiences: name at least one"},
		"an empty audience":              {func(c *enduser.Config) { c.Audiences = []string{"a", ""} }, "audiences: name at least one"},
		"keys over plain http":           {func(c *enduser.Config) { c.JWKSURL = "http://login.shop.example/keys" }, "jwks_url: must be an https URL"},
		"keys on loopback, issuer far":   {func(c *enduser.Config) { c.JWKSURL = "http://127.0.0.1/keys" }, "jwks_url: must be an https URL"},
		"keys that are no URL":           {func(c *enduser.Config) { c.JWKSURL = "/keys" }, "jwks_url: must be an absolute"},
		"no algorithm":                   {func(c *enduser.Config) { c.Algorithms = nil }, "algorithms: allow at least one of ES256"},
		"a symmetric algorithm":          {func(c *enduser.Config) { c.Algorithms = []string{"RS256", "HS256"} }, `algorithms: "HS256" cannot be allowed`},
		"no signature":                   {func(c *enduser.Config) { c.Algorithms = []string{"none"} }, `algorithms: "none" cannot be allowed`},
		"an algorithm in small letters":  {func(c *enduser.Config) { c.Algorithms = []string{"rs256"} }, `algorithms: "rs256" cannot be allowed`},
		"no project":                     {func(c *enduser.Config) { c.Scope.Project = "" }, "scope: name a project"},
		"no environment":                 {func(c *enduser.Config) { c.Scope.Environment = "" }, "scope: name a project and an environment"},
		"an algorithm that is encrypted": {func(c *enduser.Config) { c.Algorithms = []string{"RSA-OAEP"} }, `algorithms: "RSA-OAEP" cannot be allowed`},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			config := configOf(name)
			c.change(&config)
			_, err := enduser.New([]enduser.Config{config}, someDeps())
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), config.Issuer) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := enduser.New([]enduser.Config{{Issuer: "nowhere"}, {Issuer: "https://b.example", Scope: scope()}}, someDeps())
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, want := range []string{
		`"nowhere": scope`, `"nowhere": issuer`, `"nowhere": audiences`, `"nowhere": algorithms`,
		`"https://b.example": audiences`, `"https://b.example": algorithms`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing: %v", want, err)
		}
	}
}

func TestAScopeHasOneIssuerAndAnAudienceOneScope(t *testing.T) {
	t.Parallel()
	a, b := configOf("https://a.example"), configOf("https://b.example")
	if _, err := enduser.New([]enduser.Config{a, b}, someDeps()); err == nil || !strings.Contains(err.Error(), "scope: ") {
		t.Errorf("two issuers in one scope: %v", err)
	}
	live := a
	live.Scope.Environment = "live"
	if _, err := enduser.New([]enduser.Config{a, live}, someDeps()); err == nil || !strings.Contains(err.Error(), "audiences: an audience is configured twice") {
		t.Errorf("one audience in two scopes: %v", err)
	}
	again := a
	again.Audiences = []string{"another"}
	if _, err := enduser.New([]enduser.Config{a, again}, someDeps()); err == nil || !strings.Contains(err.Error(), "scope: ") {
		t.Errorf("one scope twice: %v", err)
	}
}

func TestAVerifierNeedsItsParts(t *testing.T) {
	t.Parallel()
	_, err := enduser.New(nil, enduser.Deps{})
	if err == nil {
		t.Fatal("it was made without any")
	}
	for _, part := range []string{"HTTP", "Log", "Now"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not named: %v", part, err)
		}
	}
}
