package verifyhuman

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/verigate/verigate/server/outgoing"
	"github.com/verigate/verigate/server/verification"
)

// maxAnswer caps what is read of an answer, in bytes. VerifyHuman's are a few
// hundred.
const maxAnswer = 64 << 10

// userAgent is how the gateway names itself to the provider.
const userAgent = "verigate"

// The reasons of this adapter's errors, for programs.
const (
	reasonRefusedRequest     = "PROVIDER_REFUSED_REQUEST"
	reasonRefusedCredentials = "PROVIDER_REFUSED_CREDENTIALS"
	reasonOutOfCredits       = "PROVIDER_OUT_OF_CREDITS"
	reasonBusy               = "PROVIDER_BUSY"
	reasonUnavailable        = "PROVIDER_UNAVAILABLE"
)

// errTimeout stands for our own time limit. It is not context.DeadlineExceeded,
// so that a caller can tell that one from its own deadline.
var errTimeout = errors.New("no complete answer within the connection's timeout")

// endpoint names a call in the log without the ids in its URL.
type endpoint string

const (
	endpointGenerate endpoint = "POST /hosted/generate"
	endpointStatus   endpoint = "GET /api/mobile/v1/{product}/status/{id}"
)

// call sends the request within the connection's timeout and returns the JSON
// object of a 2xx answer. Its errors are *verification.Error; their causes name
// the endpoint and a status or a class of failure, and never the answer.
func (a *adapter) call(ctx context.Context, e endpoint, newRequest func(context.Context) (*http.Request, error)) (object, error) {
	limited, cancel := context.WithTimeout(ctx, a.settings.Timeout)
	defer cancel()
	request, err := newRequest(limited)
	if err != nil {
		return object{}, unavailable(e, errors.New("the request cannot be built"))
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", userAgent)
	response, err := a.client.Do(request)
	if err != nil {
		return object{}, unavailable(e, failureClass(ctx, err))
	}
	defer func() { _ = response.Body.Close() }()
	if fault := faultOf(response.StatusCode); fault != nil {
		return object{}, fault.WithCause(fmt.Errorf("%s %s: HTTP status %d", Name, e, response.StatusCode))
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return object{}, unavailable(e, failureClass(ctx, err))
	}
	if len(text) > maxAnswer {
		return object{}, unreadable(e, fmt.Errorf("it is longer than %d bytes", maxAnswer))
	}
	answer, err := parseObject("", text)
	if err != nil {
		return object{}, unreadable(e, err)
	}
	return answer, nil
}

func unavailable(e endpoint, cause error) *verification.Error {
	return errUnavailable().WithCause(fmt.Errorf("%s %s: %w", Name, e, cause))
}

func unreadable(e endpoint, cause error) *verification.Error {
	return unavailable(e, fmt.Errorf("the answer cannot be used: %w", cause))
}

func errUnavailable() *verification.Error {
	return verification.NewError(verification.KindUnavailable, reasonUnavailable,
		"the verification provider does not answer as it should; retry later")
}

// faultOf says what a status means to a caller; nil for a success. 402 and 403
// are documented in VerifyHuman's FAQ and API keys page, the others follow
// HTTP. A redirect is a fault: credentials are not carried elsewhere.
func faultOf(status int) *verification.Error {
	switch {
	case status >= http.StatusOK && status < http.StatusMultipleChoices:
		return nil
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return verification.NewError(verification.KindRefused, reasonRefusedCredentials,
			"the verification provider refuses the gateway's credentials; the operator must check the connection's key")
	case status == http.StatusPaymentRequired:
		return verification.NewError(verification.KindRefused, reasonOutOfCredits,
			"the account at the verification provider has no credits left; the operator must add some")
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return verification.NewError(verification.KindUnavailable, reasonBusy,
			"the verification provider is busy; retry later")
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		return verification.NewError(verification.KindRefused, reasonRefusedRequest,
			"the verification provider refuses the request; check the flow's product, page texts and redirect URLs")
	}
	return errUnavailable()
}

// failureClass replaces a transport error by what kind it is: its text may
// repeat bytes that the provider sent. The caller's own end of the context
// stays in the chain.
func failureClass(caller context.Context, err error) error {
	if ended := caller.Err(); ended != nil {
		return fmt.Errorf("the caller gave up: %w", ended)
	}
	if errors.Is(err, outgoing.ErrForbiddenAddress) {
		return outgoing.ErrForbiddenAddress
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errTimeout
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New("the host name cannot be resolved")
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return errors.New("the server's certificate is not trusted")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return errors.New("no connection can be made")
	}
	return errors.New("the connection broke")
}
