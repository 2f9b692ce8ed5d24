package aiprise

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

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
	now    func() time.Time
}

var (
	_ provider.Provider = (*adapter)(nil)
	_ provider.Fetcher  = (*adapter)(nil)
)

// Open returns the live provider, which is a provider.Fetcher as well. It
// refuses what edge.CheckOpen reports.
func (s *Settings) Open(deps provider.Deps) (provider.Provider, error) {
	if err := edge.CheckOpen(Name, s.Validate(true), s.Environment, deps); err != nil {
		return nil, err
	}
	opened := &adapter{
		settings: *s,
		base:     s.base(),
		client:   edge.WithoutRedirects(deps.HTTP),
		log:      deps.Log,
		now:      deps.Now,
	}
	opened.settings.APIKeys = slices.Clone(s.APIKeys)
	return opened, nil
}

// Name returns the constant Name.
func (a *adapter) Name() string { return Name }

// isPlain reports whether the account is reached by plain http, which only a
// loopback address of a development gateway may be.
func (a *adapter) isPlain() bool {
	scheme, _, _ := strings.Cut(a.base, ":")
	return strings.EqualFold(scheme, schemeHTTP)
}
