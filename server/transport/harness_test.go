package transport_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verigate/verigate/server/transport"
)

// patience is how long a test waits for what must happen. Only a failing test
// takes that long.
const patience = 10 * time.Second

// journal is a log that tests read and wait for.
type journal struct {
	mu    sync.Mutex
	lines []string
	grown chan struct{}
}

func newJournal() (*journal, *slog.Logger) {
	j := &journal{grown: make(chan struct{})}
	return j, slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Write implements io.Writer: slog writes one line at a time.
func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, string(line))
	close(j.grown)
	j.grown = make(chan struct{})
	return len(line), nil
}

// with returns the lines that contain all words, and what tells of the next.
func (j *journal) with(words ...string) ([]string, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []string
	for _, line := range j.lines {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			found = append(found, line)
		}
	}
	return found, j.grown
}

func (j *journal) count(words ...string) int {
	found, _ := j.with(words...)
	return len(found)
}

// await returns the first line with all words, when it is there.
func (j *journal) await(t *testing.T, words ...string) string {
	t.Helper()
	for late := time.After(patience); ; {
		found, grown := j.with(words...)
		if len(found) > 0 {
			return found[0]
		}
		select {
		case <-grown:
		case <-late:
			all, _ := j.with()
			t.Fatalf("no line with %q was logged, but %q", words, all)
		}
	}
}

// pairOnDisk is a certificate and its key, in PEM.
type pairOnDisk struct{ certificate, key []byte }

// newPair makes a self-signed certificate for 127.0.0.1.
func newPair(t *testing.T, serial int64, lifetime time.Duration) pairOnDisk {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-aYear), NotAfter: time.Now().Add(lifetime),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pairOnDisk{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
}

const (
	aDay  = 24 * time.Hour
	aYear = 365 * aDay
)

// files are where a server reads its pair.
type files struct{ certificate, key string }

func newFiles(t *testing.T) files {
	t.Helper()
	dir := t.TempDir()
	return files{certificate: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key")}
}

func (f files) put(t *testing.T, p pairOnDisk) {
	t.Helper()
	write(t, f.certificate, p.certificate)
	write(t, f.key, p.key)
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, f files, log *slog.Logger) *transport.Certificate {
	t.Helper()
	c, err := transport.OpenCertificate(f.certificate, f.key, log)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// listen serves on a free port until the test ends, over TLS if the server has
// a configuration for it, and returns the address. It waits for the server's
// connections: HTTP/2 keeps refused ones for another second.
func listen(t *testing.T, server *http.Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	server.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			serving.Add(1)
		case http.StateClosed:
			serving.Done()
		default:
		}
	}
	ended := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			ended <- server.ServeTLS(listener, "", "")
			return
		}
		ended <- server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
		serving.Wait()
	})
	return listener.Addr().String()
}

// client returns a client of one protocol that believes any certificate.
func client(t *testing.T, set func(*http.Protocols)) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	set(protocols)
	round := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(round.CloseIdleConnections)
	return &http.Client{Transport: round, Timeout: patience}
}

func overHTTP1(p *http.Protocols)      { p.SetHTTP1(true) }
func overHTTP2(p *http.Protocols)      { p.SetHTTP2(true) }
func overClearHTTP2(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }

// get fetches a page and reads it whole.
func get(t *testing.T, c *http.Client, url string, headers ...string) (*http.Response, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Add(name, value)
	}
	response, err := c.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

// sayProto answers with the request's protocol.
func sayProto(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.Proto) }

// dial opens a bare connection that ends with the test.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}
