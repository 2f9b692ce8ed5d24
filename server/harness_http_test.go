package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// newHTTPClient returns a client that follows no redirect, adds a credential,
// and is gone with the test.
func newHTTPClient(t *testing.T, http2 bool, credential string) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     withCredential{transport, credential},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type withCredential struct {
	http.RoundTripper

	credential string
}

func (c withCredential) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.credential != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+c.credential)
	}
	return c.RoundTripper.RoundTrip(r)
}

// answer is an HTTP response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// call sends a plain HTTP request to the public port, with header lines such as
// "Origin: x".
func (g *gateway) call(method, path, body string, lines ...string) answer {
	g.t.Helper()
	return callAt(g.t, newHTTPClient(g.t, false, ""), method, g.url+path, body, lines...)
}

// callAt sends a plain HTTP request to any address.
func callAt(t *testing.T, client *http.Client, method, url, body string, lines ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(text)}
}
