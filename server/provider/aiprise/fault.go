package aiprise

import (
	"net/http"

	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

// The reasons, for programs, of this adapter's errors that are AiPrise's alone.
const (
	reasonFlowUnusable  = "FLOW_NOT_USABLE"
	reasonSessionReused = "PROVIDER_SESSION_REUSED"
)

// checkRequest is what to look at when AiPrise refuses a request.
const checkRequest = "the flow's product and options, and the user data"

// faultOf says what a status other than 200 means to a caller, with a hint for
// the operator's log. 208, 400, 401, 403, 413, 429 and 500 are those of AiPrise's
// status codes page, the others follow HTTP.
func faultOf(e edge.Endpoint, status int) (fault *verification.Error, hint string) {
	if status == http.StatusAlreadyReported {
		return sessionReused(e), "the same session id was used again"
	}
	return edge.Fault(status, checkRequest), hintOf(status)
}

func hintOf(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "check the first of the connection's api_keys, and that it is of the environment that base_url serves"
	case status == http.StatusForbidden:
		return "the API key may not use this template or call; check it in AiPrise's dashboard"
	case status == http.StatusRequestEntityTooLarge:
		return "the request is too large; shorten the flow's options or the user data"
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return "AiPrise asks for fewer requests"
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		return "check the flow's product, which is the template's id, its options and the user data"
	}
	return ""
}

// sessionReused is 208: AiPrise calls it an error although it is of the
// successful class. Another start opens another session; asking for the same
// result again gets the same answer.
func sessionReused(e edge.Endpoint) *verification.Error {
	if e == endpointCreate {
		return verification.NewError(verification.KindUnavailable, reasonSessionReused,
			"the verification provider did not open a new session; retry")
	}
	return edge.RefusedRequest(checkRequest)
}

func errFlow() *verification.Error {
	return verification.NewError(verification.KindRefused, reasonFlowUnusable,
		"the flow cannot be started as it is configured; the operator must check it")
}
