package outgoing

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// exchange sends a request over the transport for its scheme and caps the
// response body. Two transports, because they dial under different guards.
type exchange struct {
	secure *http.Transport
	// plain is nil unless http to loopback is allowed.
	plain       *http.Transport
	maxResponse int64
}

var _ http.RoundTripper = (*exchange)(nil)

// RoundTrip implements http.RoundTripper.
func (e *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	transport := e.secure
	if req.URL.Scheme == schemeHTTP {
		transport = e.plain // the gate has refused http where this is nil
	}
	resp, err := transport.RoundTrip(restoreQuery(req))
	if err != nil {
		return nil, err
	}
	// The transport has put its decompression below this already, and that
	// works as it is read: a bomb is never inflated beyond the cap.
	resp.Body = cappedBody{http.MaxBytesReader(nil, resp.Body, e.maxResponse)}
	return resp, nil
}

func (e *exchange) closeIdle() {
	e.secure.CloseIdleConnections()
	if e.plain != nil {
		e.plain.CloseIdleConnections()
	}
}

// cappedBody gives the error of http.MaxBytesReader our name.
type cappedBody struct{ io.ReadCloser }

// Read implements io.Reader.
func (b cappedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if over, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = fmt.Errorf("%w: it is longer than %d bytes", ErrTooLarge, over.Limit)
	}
	return n, err
}
