package verifyhuman

import (
	"context"
	"fmt"
	"net/http"

	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/verification"
)

// maxAnswer caps what is read of an answer, in bytes. VerifyHuman's are a few
// hundred.
const maxAnswer = 64 << 10

// reasonOutOfCredits is the reason, for programs, of an account without credits.
const reasonOutOfCredits = "PROVIDER_OUT_OF_CREDITS"

// checkRequest is what to look at when VerifyHuman refuses a request.
const checkRequest = "the flow's product, page texts and redirect URLs"

const (
	endpointGenerate edge.Endpoint = Name + " POST /hosted/generate"
	endpointStatus   edge.Endpoint = Name + " GET /api/mobile/v1/{product}/status/{id}"
)

// call sends the request and returns the JSON object of a 2xx answer. Its errors
// are those of edge.Call; the cause of a refusal names the HTTP status alone.
func (a *adapter) call(ctx context.Context, e edge.Endpoint, newRequest func(context.Context) (*http.Request, error)) (edge.Object, error) {
	return edge.Call{
		Endpoint:  e,
		Client:    a.client,
		Timeout:   a.settings.Timeout,
		MaxAnswer: maxAnswer,
		Request:   newRequest,
		Refusal: func(response *http.Response) *verification.Error {
			if status := response.StatusCode; !isSuccess(status) {
				return faultOf(status).WithCause(fmt.Errorf("%s: HTTP status %d", e, status))
			}
			return nil
		},
	}.Do(ctx)
}

func isSuccess(status int) bool {
	return status >= http.StatusOK && status < http.StatusMultipleChoices
}

// faultOf says what a status that is no success means to a caller. 402 and 403
// are documented in VerifyHuman's FAQ and API keys page, the others follow HTTP.
func faultOf(status int) *verification.Error {
	if status == http.StatusPaymentRequired {
		return verification.NewError(verification.KindRefused, reasonOutOfCredits,
			"the account at the verification provider has no credits left; the operator must add some")
	}
	return edge.Fault(status, checkRequest)
}
