package aiprise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/verigate/verigate/server/provider/edge"
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

// headerAPIKey carries the key on every call (AiPrise's OpenAPI description).
const headerAPIKey = "X-API-KEY"

const (
	endpointCreate edge.Endpoint = Name + " POST /verify/get_user_verification_url"
	endpointResult edge.Endpoint = Name + " GET /verify/get_user_verification_result/{id}"
)

// exchange is one call to AiPrise.
type exchange struct {
	endpoint edge.Endpoint
	request  func(context.Context) (*http.Request, error)
	// quotable allows the provider's message in a cause. It may repeat what it
	// was sent, so it is not allowed where that is personal.
	quotable bool
}

// call sends the request and returns the JSON object of a 200 answer; AiPrise's
// status codes page calls everything else an error. Its errors are those of
// edge.Call; the cause of a refusal names the HTTP status, what to do, and at
// most the provider's message.
func (a *adapter) call(ctx context.Context, x exchange) (edge.Object, error) {
	return edge.Call{
		Endpoint:  x.endpoint,
		Client:    a.client,
		Timeout:   a.settings.Timeout,
		MaxAnswer: maxAnswer,
		Request: func(ctx context.Context) (*http.Request, error) {
			request, err := x.request(ctx)
			if err != nil {
				return nil, err
			}
			request.Header.Set(headerAPIKey, a.settings.APIKeys[0].Reveal())
			return request, nil
		},
		Refusal: func(response *http.Response) *verification.Error {
			if response.StatusCode == http.StatusOK {
				return nil
			}
			return a.refusal(x, response)
		},
	}.Do(ctx)
}

// refusal is the error for an answer that is not 200.
func (a *adapter) refusal(x exchange, response *http.Response) *verification.Error {
	fault, hint := faultOf(x.endpoint, response.StatusCode)
	text := fmt.Sprintf("%s: HTTP status %d", x.endpoint, response.StatusCode)
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
	answer, err := edge.Parse(text)
	if err != nil {
		return ""
	}
	message, _, err := answer.Text("message")
	if err != nil || message == "" {
		return ""
	}
	for _, key := range a.settings.APIKeys {
		if strings.Contains(message, key.Reveal()) {
			return ""
		}
	}
	return edge.Showable(message, maxMessage)
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
