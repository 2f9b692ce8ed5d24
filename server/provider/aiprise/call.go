package aiprise

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/verigate/verigate/server/outgoing"
	"github.com/verigate/verigate/server/verification"
)

// Bounds on an answer.
const (
	// maxAnswer caps what is read of one, in bytes. A result is the same object as
	// a final callback, so it is as large as the largest body of the ingress.
	maxAnswer = 1 << 20
	// maxRefusal caps what is read of an error's body, in bytes.
	maxRefusal = 4 << 10
	// maxMessage bounds what is kept of the provider's own message, in runes.
	maxMessage = 200
	// maxRetryAfter bounds how long the provider may ask us to wait.
	maxRetryAfter = time.Hour
)

// userAgent is how the gateway names itself to the provider.
const userAgent = "verigate"

// headerAPIKey carries the key on every call (AiPrise's OpenAPI description).
const headerAPIKey = "X-API-KEY"

// errTimeout stands for our own time limit. It is not context.DeadlineExceeded,
// so that a caller can tell that one from its own deadline.
var errTimeout = errors.New("no complete answer within the connection's timeout")

// endpoint names a call in the log without the ids in its URL.
type endpoint string

const (
	endpointCreate endpoint = "POST /verify/get_user_verification_url"
	endpointResult endpoint = "GET /verify/get_user_verification_result/{id}"
)

// exchange is one call to AiPrise.
type exchange struct {
	endpoint endpoint
	request  func(context.Context) (*http.Request, error)
	// quotable allows the provider's message in a cause. It may repeat what it
	// was sent, so it is not allowed where that is personal.
	quotable bool
}

// call sends the request within the connection's timeout and returns the JSON
// object of a 200 answer; AiPrise's status codes page calls everything else an
// error. Its errors are *verification.Error; their causes name the endpoint and
// a status or a class of failure, and at most the provider's message.
func (a *adapter) call(ctx context.Context, x exchange) (object, error) {
	limited, cancel := context.WithTimeout(ctx, a.settings.Timeout)
	defer cancel()
	request, err := x.request(limited)
	if err != nil {
		return object{}, unavailable(x.endpoint, errors.New("the request cannot be built"))
	}
	request.Header.Set(headerAPIKey, a.settings.APIKeys[0].Reveal())
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", userAgent)
	response, err := a.client.Do(request)
	if err != nil {
		return object{}, unavailable(x.endpoint, failureClass(ctx, err))
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return object{}, a.refusal(x, response)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return object{}, unavailable(x.endpoint, failureClass(ctx, err))
	}
	if len(text) > maxAnswer {
		return object{}, unreadable(x.endpoint, fmt.Errorf("it is longer than %d bytes", maxAnswer))
	}
	answer, err := parseObject("", text)
	if err != nil {
		return object{}, unreadable(x.endpoint, err)
	}
	return answer, nil
}

func unavailable(e endpoint, cause error) *verification.Error {
	return errUnavailable().WithCause(fmt.Errorf("%s %s: %w", Name, e, cause))
}

func unreadable(e endpoint, cause error) *verification.Error {
	return unavailable(e, fmt.Errorf("the answer cannot be used: %w", cause))
}

// refusal is the error for an answer that is not 200.
func (a *adapter) refusal(x exchange, response *http.Response) *verification.Error {
	fault, hint := faultOf(x.endpoint, response.StatusCode)
	text := fmt.Sprintf("%s %s: HTTP status %d", Name, x.endpoint, response.StatusCode)
	if hint != "" {
		text += "; " + hint
	}
	if message := a.messageIn(x, response.Body); message != "" {
		text += "; it said: " + message
	}
	fault = fault.WithCause(errors.New(text))
	if fault.Kind != verification.KindUnavailable {
		return fault
	}
	return fault.After(retryAfter(response.Header.Get("Retry-After"), a.now()))
}

// messageIn returns the provider's message, bounded and printable; "" if there
// is none, or if it may repeat what must not be told.
func (a *adapter) messageIn(x exchange, body io.Reader) string {
	if !x.quotable {
		return ""
	}
	text, err := io.ReadAll(io.LimitReader(body, maxRefusal))
	if err != nil {
		return ""
	}
	answer, err := parseObject("", text)
	if err != nil {
		return ""
	}
	message, _, err := answer.text("message")
	if err != nil || message == "" {
		return ""
	}
	for _, key := range a.settings.APIKeys {
		if strings.Contains(message, key.Reveal()) {
			return ""
		}
	}
	return showable(message, maxMessage)
}

// retryAfter reads the header in either of its two forms, seconds or a date; zero
// for none, one that is over or one that cannot be read.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
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
