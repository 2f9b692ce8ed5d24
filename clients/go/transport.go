package verigate

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
)

const (
	dialTimeout = 10 * time.Second
	// pingAfter is how long an HTTP/2 connection may be silent before it is asked,
	// pingTimeout how long it may take to answer. Together they are shorter than
	// three heartbeats: the next stream must not go over the same dead connection.
	pingAfter   = 15 * time.Second
	pingTimeout = 15 * time.Second
)

// HTTPClient returns an HTTP client that is fit for streams: without an overall
// time-out, which would end every one of them, and with pings, without which
// calls keep going over an HTTP/2 connection that is long dead. It follows no
// redirect, so that a credential goes to the named server only.
func HTTPClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSHandshakeTimeout: dialTimeout,
			ForceAttemptHTTP2:   true,
			HTTP2:               &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// NewTransport is connecthttp.NewTransport, but Watch and Events see the header
// Retry-After in the answer of a proxy, which Connect does not pass on.
func NewTransport(client connecthttp.HTTPClient, baseURL string, options ...connecthttp.Option) connect.Transport {
	return connecthttp.NewTransport(noting{client}, baseURL, options...)
}

// noting notes the answer's Retry-After for the attempt that asked.
type noting struct{ client connecthttp.HTTPClient }

// Do sends the request.
func (n noting) Do(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "" || (r.URL.Scheme != "http" && r.URL.Scheme != "https") {
		return nil, connect.NewError(connect.CodeInvalidArgument,
			"verigate: the base URL must be absolute, such as https://verify.example.com")
	}
	answer, err := n.client.Do(r)
	if err == nil {
		notesOf(r.Context()).noteRetryAfter(answer.Header.Get("Retry-After"))
	}
	return answer, err
}

// notes are what an attempt learns from below the generated client. Its methods
// can be called on nil, outside of an attempt.
type notes struct {
	mu         sync.Mutex
	renewable  bool
	retryAfter string
}

type notesKey struct{}

// withNotes makes room for the notes of one attempt.
func withNotes(ctx context.Context) (context.Context, *notes) {
	n := &notes{}
	return context.WithValue(ctx, notesKey{}, n), n
}

func notesOf(ctx context.Context) *notes {
	n, _ := ctx.Value(notesKey{}).(*notes)
	return n
}

// noteRenewable notes that the next call may have another token.
func (n *notes) noteRenewable() {
	if n != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.renewable = true
	}
}

func (n *notes) noteRetryAfter(value string) {
	if n != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.retryAfter = value
	}
}

// read returns what was noted.
func (n *notes) read() (renewable bool, retryAfter string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.renewable, n.retryAfter
}
