package aiprise

import (
	"net/http"

	"github.com/verigate/verigate/server/verification"
)

// The reasons of this adapter's errors, for programs.
const (
	reasonFlowUnusable       = "FLOW_NOT_USABLE"
	reasonRefusedRequest     = "PROVIDER_REFUSED_REQUEST"
	reasonRefusedCredentials = "PROVIDER_REFUSED_CREDENTIALS"
	reasonSessionReused      = "PROVIDER_SESSION_REUSED"
	reasonBusy               = "PROVIDER_BUSY"
	reasonUnavailable        = "PROVIDER_UNAVAILABLE"
)

// faultOf says what a status other than 200 means to a caller, with a hint for
// the operator's log. 208, 400, 401, 403, 413, 429 and 500 are those of AiPrise's
// status codes page, the others follow HTTP. A redirect is a fault: the API key
// is not carried elsewhere.
func faultOf(e endpoint, status int) (fault *verification.Error, hint string) {
	switch {
	case status == http.StatusAlreadyReported:
		return sessionReused(e), "the same session id was used again"
	case status == http.StatusUnauthorized:
		return errCredentials(), "check the first of the connection's api_keys, and that it is of the environment that base_url serves"
	case status == http.StatusForbidden:
		return errCredentials(), "the API key may not use this template or call; check it in AiPrise's dashboard"
	case status == http.StatusRequestEntityTooLarge:
		return errRefusedRequest(), "the request is too large; shorten the flow's options or the user data"
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return errBusy(), "AiPrise asks for fewer requests"
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		return errRefusedRequest(), "check the flow's product, which is the template's id, its options and the user data"
	}
	return errUnavailable(), ""
}

// sessionReused is 208: AiPrise calls it an error although it is of the
// successful class. Another start opens another session; asking for the same
// result again gets the same answer.
func sessionReused(e endpoint) *verification.Error {
	if e == endpointCreate {
		return verification.NewError(verification.KindUnavailable, reasonSessionReused,
			"the verification provider did not open a new session; retry")
	}
	return errRefusedRequest()
}

func errUnavailable() *verification.Error {
	return verification.NewError(verification.KindUnavailable, reasonUnavailable,
		"the verification provider does not answer as it should; retry later")
}

func errBusy() *verification.Error {
	return verification.NewError(verification.KindUnavailable, reasonBusy,
		"the verification provider is busy; retry later")
}

func errCredentials() *verification.Error {
	return verification.NewError(verification.KindRefused, reasonRefusedCredentials,
		"the verification provider refuses the gateway's credentials; the operator must check the connection's keys")
}

func errRefusedRequest() *verification.Error {
	return verification.NewError(verification.KindRefused, reasonRefusedRequest,
		"the verification provider refuses the request; check the flow's product and options, and the user data")
}

func errFlow() *verification.Error {
	return verification.NewError(verification.KindRefused, reasonFlowUnusable,
		"the flow cannot be started as it is configured; the operator must check it")
}
