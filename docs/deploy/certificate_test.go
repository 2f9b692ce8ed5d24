package deploy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The names that the files of this folder use.
const (
	callersHost   = "verify.example.com"
	providersHost = "hooks.example.com"
)

// certificate is what a proxy shows to its callers.
type certificate struct {
	chain, key, both string
	roots            *x509.CertPool
}

// newCertificate makes a certificate for both names, as the files that proxies
// read.
func newCertificate(t *testing.T, dir string) certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{callersHost, providersHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
	c := certificate{
		chain: filepath.Join(dir, "fullchain.pem"), key: filepath.Join(dir, "privkey.pem"),
		both: filepath.Join(dir, "both.pem"), roots: x509.NewCertPool(),
	}
	c.roots.AppendCertsFromPEM(chain)
	for path, content := range map[string][]byte{c.chain: chain, c.key: key, c.both: append(append([]byte{}, chain...), key...)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}
