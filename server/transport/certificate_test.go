package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/verigate/verigate/server/transport"
)

// shown returns the serial number that a new connection is shown.
func shown(ctx context.Context, address string) (int64, error) {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

// inForce returns the serial number without a server.
func inForce(t *testing.T, c *transport.Certificate) int64 {
	t.Helper()
	pair, err := c.TLSConfig().GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf.SerialNumber.Int64()
}

// watch runs Watch until the test ends and waits for its end.
func watch(t *testing.T, c *transport.Certificate, every time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Watch(ctx, every) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

func TestAChangedPairIsServedWithoutARestart(t *testing.T) {
	t.Parallel()
	logged, log := newJournal()
	f := newFiles(t)
	f.put(t, newPair(t, 0xa1, aYear))
	certificate := open(t, f, log)
	address := listenTLS(t, certificate)
	watch(t, certificate, time.Millisecond)
	caller := client(t, overHTTP2)
	before, _, err := get(t, caller, "https://"+address)
	if err != nil {
		t.Fatal(err)
	}
	f.put(t, newPair(t, 0xa2, aYear))
	line := logged.await(t, "TLS certificate in force", "serial=a2")
	if !strings.Contains(line, "not_after=") {
		t.Errorf("the end is not logged: %s", line)
	}
	if got, err := shown(t.Context(), address); err != nil || got != 0xa2 {
		t.Errorf("a new connection is shown %x, %v", got, err)
	}
	after, _, err := get(t, caller, "https://"+address)
	if err != nil {
		t.Fatalf("the open connection broke: %v", err)
	}
	if a, b := serial(before), serial(after); a != 0xa1 || b != 0xa1 {
		t.Errorf("the open connection went from %x to %x", a, b)
	}
}

func serial(r *http.Response) int64 { return r.TLS.PeerCertificates[0].SerialNumber.Int64() }

func TestAReloadOnDemandReplacesThePair(t *testing.T) {
	t.Parallel()
	logged, log := newJournal()
	f := newFiles(t)
	f.put(t, newPair(t, 1, aYear))
	certificate := open(t, f, log)
	if err := certificate.Reload(); err != nil || logged.count("in force") != 1 {
		t.Errorf("a reload of the same pair ended with %v and was logged %d times", err, logged.count("in force"))
	}
	fresh := newPair(t, 2, aYear)
	write(t, f.certificate, fresh.certificate)
	if err := certificate.Reload(); err == nil || !strings.Contains(err.Error(), f.key) {
		t.Errorf("half a pair was answered with %v", err)
	}
	if got := inForce(t, certificate); got != 1 {
		t.Errorf("half a pair put %d in force", got)
	}
	write(t, f.key, fresh.key)
	if err := certificate.Reload(); err != nil || inForce(t, certificate) != 2 {
		t.Errorf("the whole pair ended with %v and %d in force", err, inForce(t, certificate))
	}
}

func TestHandshakesGoOnWhilePairsChange(t *testing.T) {
	t.Parallel()
	_, log := newJournal()
	f := newFiles(t)
	f.put(t, newPair(t, 1, aYear))
	certificate := open(t, f, log)
	address := listenTLS(t, certificate)
	watch(t, certificate, time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	var calling sync.WaitGroup
	calling.Go(func() {
		for last := int64(0); ctx.Err() == nil; {
			got, err := shown(ctx, address)
			if err != nil && ctx.Err() == nil {
				t.Errorf("after %d: %v", last, err)
				return
			}
			if err == nil && got < last {
				t.Errorf("%d was shown after %d", got, last)
			}
			last = got
		}
	})
	defer calling.Wait()
	defer stop()
	for i := range int64(20) {
		f.put(t, newPair(t, i+2, aYear))
		if err := certificate.Reload(); err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
		if got, err := shown(t.Context(), address); err != nil || got != i+2 {
			t.Fatalf("%d was shown after change %d, %v", got, i, err)
		}
	}
}

func TestASwapOfSymbolicLinksIsSeen(t *testing.T) {
	t.Parallel()
	_, log := newJournal()
	dir := t.TempDir()
	for i, version := range []string{"v1", "v2"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		at := files{filepath.Join(dir, version, "tls.crt"), filepath.Join(dir, version, "tls.key")}
		at.put(t, newPair(t, int64(i+1), aYear))
	}
	link := func(target string) {
		t.Helper()
		next := filepath.Join(dir, "..next")
		if err := os.Symlink(target, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	link("v1")
	certificate := open(t, files{filepath.Join(dir, "..data", "tls.crt"), filepath.Join(dir, "..data", "tls.key")}, log)
	link("v2")
	if err := certificate.Reload(); err != nil || inForce(t, certificate) != 2 {
		t.Errorf("the swap ended with %v and %d in force", err, inForce(t, certificate))
	}
}

func TestAPairThatCannotServeIsExplained(t *testing.T) {
	t.Parallel()
	good, other := newPair(t, 1, aYear), newPair(t, 2, aYear)
	damaged := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("not a certificate")})
	locked := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("locked")})
	oldLocked := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("locked"),
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}})
	garbled := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("garbled-key-bytes")})
	der, _ := pem.Decode(good.certificate)
	for _, c := range []struct {
		name             string
		certificate, key []byte
		wants            []string
	}{
		{"a certificate that is not there", nil, good.key, []string{"certificate file", "tls.crt", "cannot be read", "no such file", "check the path"}},
		{"a key that is not there", good.certificate, nil, []string{"key file", "tls.key", "cannot be read", "check the path"}},
		{"a certificate that is not PEM", der.Bytes, good.key, []string{"certificate file", "tls.crt", "no PEM at all", "give the chain in PEM"}},
		{"a key that is not PEM", good.certificate, []byte("secret"), []string{"key file", "tls.key", "no PEM at all", "private key in PEM"}},
		{"the two swapped", good.key, good.certificate, []string{"certificate file", "tls.crt", "found: PRIVATE KEY"}},
		{"a damaged certificate", damaged, good.key, []string{"certificate file", "tls.crt", "malformed", "again"}},
		{"a certificate in the key's place", good.certificate, good.certificate, []string{"key file", "tls.key", "found: CERTIFICATE"}},
		{"an encrypted key", good.certificate, locked, []string{"key file", "tls.key", "passphrase", "openssl pkey"}},
		{"a key encrypted the old way", good.certificate, oldLocked, []string{"key file", "tls.key", "passphrase", "openssl pkey"}},
		{"a damaged key", good.certificate, garbled, []string{"key file", "tls.key", "does not fit", "tls.crt"}},
		{"another certificate's key", good.certificate, other.key, []string{"key file", "tls.key", "does not fit", "tls.crt", "issued for"}},
		{"a file without an end", []byte(strings.Repeat("x", 1<<20+1)), good.key, []string{"certificate file", "tls.crt", "larger than 1 MiB"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, log := newJournal()
			f := newFiles(t)
			if c.certificate != nil {
				write(t, f.certificate, c.certificate)
			}
			if c.key != nil {
				write(t, f.key, c.key)
			}
			_, err := transport.OpenCertificate(f.certificate, f.key, log)
			if err == nil {
				t.Fatal("it was opened")
			}
			for _, want := range c.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "garbled-key-bytes") || strings.Contains(err.Error(), "secret") {
				t.Errorf("the key is in the error: %q", err)
			}
		})
	}
}

func TestWhatIsOnlyDoubtfulIsAWarning(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		lifetime time.Duration
		mode     os.FileMode
		warnings []string
	}{
		{"a good pair has none", aYear, 0o600, nil},
		{"a key that its group may read has none", aYear, 0o640, nil},
		{"a key that everybody may read", aYear, 0o604, []string{"chmod 600"}},
		{"a certificate of the last fortnight", 13 * aDay, 0o600, []string{"expires soon"}},
		{"a certificate that has expired", -time.Hour, 0o600, []string{"has expired"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			logged, log := newJournal()
			f := newFiles(t)
			f.put(t, newPair(t, 1, c.lifetime))
			if err := os.Chmod(f.key, c.mode); err != nil {
				t.Fatal(err)
			}
			open(t, f, log)
			if got := logged.count("level=WARN"); got != len(c.warnings) {
				t.Errorf("%d warnings", got)
			}
			for _, want := range c.warnings {
				if logged.count("level=WARN", want) != 1 {
					t.Errorf("no warning says %q", want)
				}
			}
		})
	}
}

func TestAClientThatChecksIsContent(t *testing.T) {
	t.Parallel()
	_, log := newJournal()
	f := newFiles(t)
	pair := newPair(t, 1, aYear)
	f.put(t, pair)
	address := listenTLS(t, open(t, f, log))
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pair.certificate) {
		t.Fatal("the certificate is not one")
	}
	conn := tls.Client(dial(t, address), &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{"h2", "http/1.1"}})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(conn.ConnectionState().NegotiatedProtocol); got != "h2" {
		t.Errorf("%q was agreed on", got)
	}
}
