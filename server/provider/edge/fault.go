package edge

import (
	"fmt"
	"net/http"

	"github.com/verigate/verigate/server/verification"
)

// The reasons of the errors here, for programs.
const (
	reasonRefusedRequest     = "PROVIDER_REFUSED_REQUEST"
	reasonRefusedCredentials = "PROVIDER_REFUSED_CREDENTIALS"
	reasonBusy               = "PROVIDER_BUSY"
	reasonUnavailable        = "PROVIDER_UNAVAILABLE"
)

// Endpoint names a call in the causes of errors: the provider, the method and
// the path, without the ids in it.
type Endpoint string

// Unavailable is the error for a provider that does not answer as it should; a
// retry may help.
func (e Endpoint) Unavailable(cause error) *verification.Error {
	return unavailable().WithCause(fmt.Errorf("%s: %w", e, cause))
}

// Unreadable is Unavailable for an answer that came and cannot be used.
func (e Endpoint) Unreadable(cause error) *verification.Error {
	return e.Unavailable(fmt.Errorf("the answer cannot be used: %w", cause))
}

// Fault says what a status that is no success means to a caller, by HTTP's own
// definitions; an adapter looks for its provider's exceptions first. A redirect
// is a fault: credentials are not carried elsewhere. The error has no cause yet.
func Fault(status int, check string) *verification.Error {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return verification.NewError(verification.KindRefused, reasonRefusedCredentials,
			"the verification provider refuses the gateway's credentials; the operator must check the connection's keys")
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return verification.NewError(verification.KindUnavailable, reasonBusy,
			"the verification provider is busy; retry later")
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		return RefusedRequest(check)
	}
	return unavailable()
}

// RefusedRequest is the error for a request that the provider does not take as
// it is. check names what to look at. The error has no cause yet.
func RefusedRequest(check string) *verification.Error {
	return verification.NewError(verification.KindRefused, reasonRefusedRequest,
		"the verification provider refuses the request; check "+check)
}

func unavailable() *verification.Error {
	return verification.NewError(verification.KindUnavailable, reasonUnavailable,
		"the verification provider does not answer as it should; retry later")
}
