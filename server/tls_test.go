package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/verification"
)

// authority is a CA and where it writes the pair of a gateway.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	files       config.TLS
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	return &authority{t: t, certificate: certificate, key: key, files: config.TLS{
		Certificate: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem"),
	}}
}

// issue writes a fresh pair for 127.0.0.1 with a serial number.
func (a *authority) issue(serial int64) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "gateway"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 6, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.certificate, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(a.files.Certificate, "CERTIFICATE", raw)
	a.write(a.files.Key, "PRIVATE KEY", private)
}

func (a *authority) write(path, kind string, raw []byte) {
	a.t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// client trusts the authority and nobody else.
func (a *authority) client(http2 bool, credential string) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	a.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: withCredential{transport, credential}}
}

// api returns a client of a gateway behind TLS.
func (a *authority) api(g *gateway, w wire, credential string) verigatev1connect.VerificationServiceClient {
	return verigatev1connect.NewVerificationServiceClient(
		connect.NewClient(connecthttp.NewTransport(a.client(w.http2, credential), g.url, w.options...)))
}

// serial says which certificate a new connection is shown.
func (a *authority) serial(g *gateway) int64 {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, g.url+"/livez", nil)
	if err != nil {
		a.t.Fatal(err)
	}
	response, err := a.client(false, "").Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.TLS.PeerCertificates[0].SerialNumber.Int64()
}

// openSecure starts a node with TLS on its public port.
func openSecure(t *testing.T, a *authority) *gateway {
	t.Helper()
	a.issue(2)
	g := open(t, func(c *config.Config) {
		apart(c)
		c.Listeners.Public.TLS = a.files
		c.PublicURL = strings.Replace(c.PublicURL, "http://", "https://", 1)
	})
	g.url = strings.Replace(g.url, "http://", "https://", 1)
	return g
}

func TestEveryProtocolWorksOverTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	g := openSecure(t, ca)
	for _, w := range wires() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			g := g.in(t)
			api := ca.api(g, w, g.key)
			started := g.start(api)
			updates := watch(t, ca.api(g, w, started.GetClientToken()), &verigatev1.WatchStatusRequest{Id: started.GetVerification().GetId()})
			updates.next()
			g.decide(started.GetVerification().GetId(), verification.Passed)
			if u := updates.next(); u.GetState() != approved {
				t.Errorf("the stream said %v", u)
			}
		})
	}
}

func TestPlainHTTPToATLSPortGetsNoPageAndOldTLSNoConnection(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	g := openSecure(t, ca)
	plain := strings.Replace(g.url, "https://", "http://", 1)
	a := callAt(t, newHTTPClient(t, false, g.key), http.MethodPost, plain+service+"ListVerifications", "{}", "Content-Type: application/json")
	if a.status != http.StatusBadRequest || strings.Contains(a.body, "{") {
		t.Errorf("plain HTTP was answered %d %s", a.status, a.body)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.certificate)
	old := &tls.Dialer{Config: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}
	if conn, err := old.DialContext(t.Context(), "tcp", strings.TrimPrefix(g.url, "https://")); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
}

// reload reads the same configuration again, as SIGHUP does.
func (g *gateway) reload() {
	g.t.Helper()
	if err := g.server.ReloadFrom(g.t.Context(), func() (*config.Config, error) { return g.options.Config, nil }); err != nil {
		g.t.Fatalf("ReloadFrom: %v", err)
	}
}

func TestARenewedCertificateIsShownToNewConnectionsAndDisturbsNoOldOne(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	g := openSecure(t, ca)
	api := ca.api(g, wire{http2: true}, g.key)
	id := g.start(api).GetVerification().GetId()
	updates := watch(t, api, &verigatev1.WatchStatusRequest{Id: id})
	updates.next()
	if n := ca.serial(g); n != 2 {
		t.Fatalf("at first the certificate is %d", n)
	}
	ca.issue(3)
	g.reload()
	if n := ca.serial(g); n != 3 {
		t.Errorf("after the renewal the certificate is %d", n)
	}
	g.decide(id, verification.Passed)
	if u := updates.next(); u.GetState() != approved {
		t.Errorf("the open stream said %v", u)
	}
}

func TestACertificateThatDoesNotFitIsToldAndTheOldOneStays(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	g := openSecure(t, ca)
	ca.write(ca.files.Certificate, "CERTIFICATE", []byte("marked-nonsense"))
	g.reload()
	if n := ca.serial(g); n != 2 {
		t.Errorf("the certificate is %d", n)
	}
	if text := g.logs.String(); !strings.Contains(text, "cert.pem") || !strings.Contains(text, "certificate cannot be used") {
		t.Error("the log does not say that the certificate cannot be used, and which")
	}
}
