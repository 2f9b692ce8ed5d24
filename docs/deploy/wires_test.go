package deploy_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// callerAddress is where the tests' callers come from. It is not the proxy's, so
// that the gateway can tell them apart; Linux has all of 127.0.0.0/8.
const callerAddress = "127.0.0.2"

// The versions of HTTP that callers speak to a proxy.
const (
	http1 = 1
	http2 = 2
)

// wire is one way to call.
type wire struct {
	name    string
	version int
	options []connecthttp.Option
}

func wires() []wire {
	return []wire{
		{name: "Connect on HTTP 1.1", version: http1},
		{name: "Connect on HTTP 2", version: http2},
		{name: "gRPC", version: http2, options: []connecthttp.Option{connecthttp.WithGRPC()}},
		{name: "gRPC-Web on HTTP 1.1", version: http1, options: []connecthttp.Option{connecthttp.WithGRPCWeb()}},
		{name: "gRPC-Web on HTTP 2", version: http2, options: []connecthttp.Option{connecthttp.WithGRPCWeb()}},
	}
}

// client returns an HTTP client that reaches both names at the proxy, over TLS,
// and speaks this version of HTTP and no other.
func (s *site) client(t *testing.T, version int) *http.Client {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(callerAddress)}}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(version == http1)
	protocols.SetHTTP2(version == http2)
	transport := &http.Transport{
		Protocols:       protocols,
		TLSClientConfig: &tls.Config{RootCAs: s.certificate.roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, s.proxyAddress())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: sameVersion{transport, version}}
}

func (s *site) proxyAddress() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

func (s *site) adminAddress() string { return net.JoinHostPort(s.host, strconv.Itoa(s.admin)) }

// sameVersion fails what came over another version of HTTP.
type sameVersion struct {
	http.RoundTripper

	version int
}

// RoundTrip implements http.RoundTripper.
func (v sameVersion) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := v.RoundTripper.RoundTrip(r)
	if err == nil && response.ProtoMajor != v.version {
		_ = response.Body.Close()
		return nil, fmt.Errorf("the answer came over %s, want version %d", response.Proto, v.version)
	}
	return response, err
}

// api calls the gateway through the proxy with a credential.
func (s *site) api(t *testing.T, w wire, credential string) verigatev1connect.VerificationServiceClient {
	t.Helper()
	return newAPI(s.client(t, w.version), "https://"+callersHost, credential, w.options...)
}

// direct calls the gateway without the proxy.
func (g *gateway) direct(t *testing.T) verigatev1connect.VerificationServiceClient {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return newAPI(&http.Client{Transport: transport}, "http://"+g.at(g.public), g.key)
}

func newAPI(client *http.Client, url, credential string, options ...connecthttp.Option) verigatev1connect.VerificationServiceClient {
	authorize := func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if info, ok := connect.CallInfoForClientContext(ctx); ok {
				info.RequestHeader().Set("Authorization", "Bearer "+credential)
				info.RequestHeader().Set("X-Forwarded-For", forgedAddress)
			}
			return next(ctx, spec)
		}
	}
	return verigatev1connect.NewVerificationServiceClient(connect.NewClient(connecthttp.NewTransport(client, url, options...), authorize))
}

// forgedAddress is what every caller of these tests says of itself (RFC 5737).
const forgedAddress = "203.0.113.9"
