package verifyhuman

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
)

// adapter is one open account. Nothing in it changes after Open.
type adapter struct {
	settings Settings
	// base is the base URL without a trailing slash.
	base   string
	client *http.Client
	log    *slog.Logger
}

var (
	_ provider.Settings = (*Settings)(nil)
	_ provider.Provider = (*adapter)(nil)
	_ provider.Fetcher  = fetching{}
)

// fetching is an account whose status endpoints can be used.
type fetching struct{ *adapter }

// Open returns the live provider, which is a provider.Fetcher if the connection
// has the client key that the status endpoints want. It refuses what
// edge.CheckOpen reports.
func (s *Settings) Open(deps provider.Deps) (provider.Provider, error) {
	if err := edge.CheckOpen(Name, s.Validate(true), s.Environment, deps); err != nil {
		return nil, err
	}
	opened := &adapter{
		settings: *s,
		base:     strings.TrimRight(s.BaseURL, "/"),
		client:   edge.WithoutRedirects(deps.HTTP),
		log:      deps.Log,
	}
	opened.settings.WebhookSecrets = slices.Clone(s.WebhookSecrets)
	if s.ClientKey.Empty() {
		return opened, nil
	}
	return fetching{opened}, nil
}

// Name returns the constant Name.
func (a *adapter) Name() string { return Name }
