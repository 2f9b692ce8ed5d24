package providertest

import (
	"strings"
	"testing"

	"github.com/verigate/verigate/server/provider"
)

// Fields returns the fields of the problems, in their order: what an adapter's
// own test compares, because messages are for people.
func Fields(problems []provider.Problem) []string {
	names := make([]string, 0, len(problems))
	for _, p := range problems {
		names = append(names, p.Field)
	}
	return names
}

// Gateways says which kinds of gateway may use a base URL.
type Gateways int

// The kinds of gateway.
const (
	NoGateway Gateways = iota
	DevelopmentGateway
	EveryGateway
)

// CheckBaseURL checks settings in which nothing but base_url may be wrong. A
// password in a refused URL is "password", and must not be repeated.
func CheckBaseURL(t *testing.T, s provider.Settings, allowed Gateways) {
	t.Helper()
	for development, want := range map[bool]bool{true: allowed != NoGateway, false: allowed == EveryGateway} {
		problems := s.Validate(development)
		if got := len(problems) == 0; got != want {
			t.Errorf("development %t: got %v, want allowed %t", development, problems, want)
		}
		for _, p := range problems {
			if p.Field != "base_url" || strings.Contains(p.Message, "password") {
				t.Errorf("got problem %+v", p)
			}
		}
	}
}

// AsFetcher returns the capability of an opened adapter. It fails the test when
// there is none.
func AsFetcher(t *testing.T, p provider.Provider) provider.Fetcher {
	t.Helper()
	f, ok := p.(provider.Fetcher)
	if !ok {
		t.Fatalf("%s cannot fetch", p.Name())
	}
	return f
}
