package deploy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// answer is an HTTP response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a plain request through the proxy, with header lines such as
// "Origin: x".
func (s *site) send(t *testing.T, version int, method, host, path, body string, lines ...string) answer {
	t.Helper()
	a, err := s.try(t, version, method, host, path, body, lines...)
	if err != nil {
		t.Fatalf("%s %s%s: %v", method, host, path, err)
	}
	return a
}

// try is send where it may fail.
func (s *site) try(t *testing.T, version int, method, host, path, body string, lines ...string) (answer, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "https://"+host+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	response, err := s.client(t, version).Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: string(text)}, err
}
