package edge_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

func TestCheckOpen(t *testing.T) {
	t.Parallel()
	deps := provider.Deps{HTTP: &http.Client{}, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	for _, environment := range []verification.Environment{verification.Live, verification.Test} {
		t.Run("has nothing against a complete account, "+string(environment), func(t *testing.T) {
			t.Parallel()
			if err := edge.CheckOpen("acme", nil, environment, deps); err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("says everything at once", func(t *testing.T) {
		t.Parallel()
		problems := []provider.Problem{{Field: "base_url", Message: "is wrong"}, {Field: "api_key", Message: "is missing"}}
		err := edge.CheckOpen("acme", problems, "staging", provider.Deps{})
		if err == nil {
			t.Fatal("no error")
		}
		for _, want := range []string{
			"cannot open acme", "base_url is wrong", "api_key is missing", "environment must be live or test", "an HTTP client", "a logger", "a clock",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not say %q", err, want)
			}
		}
	})
	for want, d := range map[string]provider.Deps{
		"an HTTP client": {Log: deps.Log, Now: deps.Now},
		"a logger":       {HTTP: deps.HTTP, Now: deps.Now},
		"a clock":        {HTTP: deps.HTTP, Log: deps.Log},
	} {
		t.Run("misses "+want, func(t *testing.T) {
			t.Parallel()
			if err := edge.CheckOpen("acme", nil, verification.Test, d); messageOf(err) != "cannot open acme: the process must supply "+want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWithoutRedirectsLeavesTheSharedClientAlone(t *testing.T) {
	t.Parallel()
	shared := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	client := edge.WithoutRedirects(shared)
	if shared.CheckRedirect != nil {
		t.Error("the shared client was changed")
	}
	if client.Transport != shared.Transport || client.Timeout != shared.Timeout {
		t.Error("the copy lost something of the shared client")
	}
	server := redirecting(t)
	response, err := client.Get(server)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("got status %d, want the redirect itself", response.StatusCode)
	}
}
