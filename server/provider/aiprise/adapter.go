package aiprise

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
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
// refuses an Environment that is neither live nor test, missing dependencies,
// and whatever Validate reports for a development gateway: Open is not told
// which kind of gateway it serves, so plain http on a loopback address is
// Validate's to refuse elsewhere.
func (s *Settings) Open(deps provider.Deps) (provider.Provider, error) {
	var faults []error
	for _, p := range s.Validate(true) {
		faults = append(faults, fmt.Errorf("%s %s", p.Field, p.Message))
	}
	if s.Environment != verification.Live && s.Environment != verification.Test {
		faults = append(faults, errors.New("the connection's environment must be live or test"))
	}
	if deps.HTTP == nil {
		faults = append(faults, errors.New("the process must supply an HTTP client"))
	}
	if deps.Log == nil {
		faults = append(faults, errors.New("the process must supply a logger"))
	}
	if deps.Now == nil {
		faults = append(faults, errors.New("the process must supply a clock"))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("cannot open %s: %w", Name, errors.Join(faults...))
	}
	opened := &adapter{
		settings: *s,
		base:     s.base(),
		client:   withoutRedirects(deps.HTTP),
		log:      deps.Log,
		now:      deps.Now,
	}
	opened.settings.APIKeys = slices.Clone(s.APIKeys)
	return opened, nil
}

// withoutRedirects copies the client, so that the API key never follows a
// redirect and the shared client stays as it is.
func withoutRedirects(shared *http.Client) *http.Client {
	client := *shared
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// Name returns the constant Name.
func (a *adapter) Name() string { return Name }

// isPlain reports whether the account is reached by plain http, which only a
// loopback address of a development gateway may be.
func (a *adapter) isPlain() bool {
	scheme, _, _ := strings.Cut(a.base, ":")
	return strings.EqualFold(scheme, schemeHTTP)
}
