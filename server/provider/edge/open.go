package edge

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

// CheckOpen returns everything that keeps the provider's account from being
// opened, as one error; nil if nothing does: problems of its settings, an
// environment that is neither live nor test, and missing dependencies. problems
// are what Validate reports for a development gateway: Open is not told which
// kind of gateway it serves, so plain http on a loopback address is Validate's
// to refuse elsewhere.
func CheckOpen(name string, problems []provider.Problem, environment verification.Environment, deps provider.Deps) error {
	var faults []error
	for _, p := range problems {
		faults = append(faults, fmt.Errorf("%s %s", p.Field, p.Message))
	}
	if environment != verification.Live && environment != verification.Test {
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
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("cannot open %s: %w", name, errors.Join(faults...))
}

// WithoutRedirects copies the client, so that credentials never follow a
// redirect and the shared client stays as it is.
func WithoutRedirects(shared *http.Client) *http.Client {
	client := *shared
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}
