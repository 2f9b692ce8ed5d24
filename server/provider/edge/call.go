package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/verigate/verigate/server/outgoing"
	"github.com/verigate/verigate/server/verification"
)

// userAgent is how the gateway names itself to a provider.
const userAgent = "verigate"

// errTimeout stands for our own time limit. It is not context.DeadlineExceeded,
// so that a caller can tell that one from its own deadline.
var errTimeout = errors.New("no complete answer within the connection's timeout")

// Call is one request to a provider whose answer is a JSON object. All fields
// are needed.
type Call struct {
	Endpoint Endpoint
	// Client is one of WithoutRedirects.
	Client *http.Client
	// Timeout bounds the call, from dialling to the last byte of the answer.
	Timeout time.Duration
	// MaxAnswer caps what is read of an answer, in bytes.
	MaxAnswer int64
	// Request builds the request, with its credentials.
	Request func(context.Context) (*http.Request, error)
	// Refusal returns what an answer means that is no success, with its cause, and
	// nil for one that is. It may read the body, but need not close it.
	Refusal func(*http.Response) *verification.Error
}

// Do sends the request and returns the object of a successful answer. Its errors
// are *verification.Error; the cause of its own name the endpoint and a class of
// failure, and never the answer. The caller's own end of the context stays in
// the chain.
func (c Call) Do(ctx context.Context) (Object, error) {
	limited, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	request, err := c.Request(limited)
	if err != nil {
		return Object{}, c.Endpoint.Unavailable(errors.New("the request cannot be built"))
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", userAgent)
	response, err := c.Client.Do(request)
	if err != nil {
		return Object{}, c.Endpoint.Unavailable(failureClass(ctx, err))
	}
	defer func() { _ = response.Body.Close() }()
	if refusal := c.Refusal(response); refusal != nil {
		return Object{}, refusal
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, c.MaxAnswer+1))
	if err != nil {
		return Object{}, c.Endpoint.Unavailable(failureClass(ctx, err))
	}
	if int64(len(text)) > c.MaxAnswer {
		return Object{}, c.Endpoint.Unreadable(fmt.Errorf("it is longer than %d bytes", c.MaxAnswer))
	}
	answer, err := Parse(text)
	if err != nil {
		return Object{}, c.Endpoint.Unreadable(err)
	}
	return answer, nil
}

// failureClass replaces a transport error by what kind it is: its text may
// repeat bytes that the provider sent.
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
