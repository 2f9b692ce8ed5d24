package outgoing

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

const (
	schemeHTTP  = "http"
	schemeHTTPS = "https"
)

// gate refuses URLs that are not to be requested and keeps queries out of
// traces.
type gate struct {
	traced http.RoundTripper
	wire   *exchange
}

var _ http.RoundTripper = (*gate)(nil)

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkURL(req.URL, g.wire.plain != nil); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // a RoundTripper closes it even when it fails
		}
		return nil, err
	}
	return g.traced.RoundTrip(hideQuery(req))
}

// CloseIdleConnections makes the method of the same name work on the client.
func (g *gate) CloseIdleConnections() { g.wire.closeIdle() }

// checkURL never puts any part of the URL but its scheme into an error.
func checkURL(u *url.URL, plainAllowed bool) error {
	switch {
	case u == nil || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("%w: it names no host; write it as https://host/path", ErrForbiddenURL)
	case u.User != nil:
		return fmt.Errorf("%w: it carries a user name or password; remove them and send credentials in a header", ErrForbiddenURL)
	case u.Scheme == schemeHTTPS:
		return nil
	case u.Scheme == schemeHTTP && plainAllowed && isLoopbackHost(u.Hostname()):
		return nil
	case u.Scheme == schemeHTTP:
		return fmt.Errorf("%w: http is only for loopback addresses in development; use https", ErrForbiddenURL)
	default:
		return fmt.Errorf("%w: the scheme is %q; use https", ErrForbiddenURL, u.Scheme)
	}
}

func isLoopbackHost(host string) bool {
	address, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && address.IsLoopback())
}

type urlKey struct{}

// hideQuery returns the request with a URL that may be recorded, and the real
// one in the context. otelhttp records the whole URL but for the user, and has
// no option to leave out the query, where providers and issuers may want
// secrets.
func hideQuery(req *http.Request) *http.Request {
	shown := *req.URL
	shown.RawQuery, shown.ForceQuery = "", false
	shown.Fragment, shown.RawFragment = "", ""
	hidden := req.WithContext(context.WithValue(req.Context(), urlKey{}, req.URL))
	hidden.URL = &shown
	return hidden
}

// restoreQuery undoes hideQuery.
func restoreQuery(req *http.Request) *http.Request {
	target, ok := req.Context().Value(urlKey{}).(*url.URL)
	if !ok {
		return req
	}
	restored := req.WithContext(req.Context())
	restored.URL = target
	return restored
}
