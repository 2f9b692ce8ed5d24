package enduser_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"testing"

	played "github.com/verigate/verigate/server/sandbox/issuer"
)

// The sandbox's issuer shares no code with this package, so each checks the
// other.
func TestATokenOfTheSandboxIsAccepted(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	base := "http://" + server.Listener.Addr().String()
	g := newGate(t, configOf(base))
	sandbox, err := played.New(played.Options{BaseURL: base, Audience: audience, Now: g.clock.read, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = sandbox
	server.Start()
	t.Cleanup(server.Close)
	order := func(values url.Values) string {
		t.Helper()
		response, err := server.Client().PostForm(base+"/token", values)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		var answer struct {
			AccessToken string `json:"access_token"`
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
			t.Fatalf("no token: %v", err)
		}
		return answer.AccessToken
	}
	g.accepts(t, order(url.Values{"subject": {markedSubject}}))
	g.refuses(t, order(url.Values{"subject": {markedSubject}, "audience": {"the app itself"}}), "another audience")
}
