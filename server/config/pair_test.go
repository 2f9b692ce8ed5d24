package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pair is a certificate with its key, in PEM form.
type pair struct{ certificate, key string }

func newPair(t *testing.T) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"verify.example.com"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{certificate: block("CERTIFICATE", der), key: block("PRIVATE KEY", encoded)}
}

func block(kind string, content []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
}

// write stores a text in a file of its own and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// exampleSource returns verigate.example.yaml with files that test machines
// have in place of those that it names.
func exampleSource(t *testing.T) string {
	t.Helper()
	made := newPair(t)
	source := replaceOnce(t, string(readTestFile(t, examplePath)), "file:/run/secrets/verigate-client-token-key-old", "${VERIGATE_OLD_CLIENT_TOKEN_KEY}")
	source = strings.ReplaceAll(source, "/etc/verigate/tls/fullchain.pem", write(t, "fullchain.pem", made.certificate))
	return strings.ReplaceAll(source, "/etc/verigate/tls/privkey.pem", write(t, "privkey.pem", made.key))
}

// minimalWith returns minimal.yaml with more keys at its end.
func minimalWith(t *testing.T, more string) string {
	t.Helper()
	return string(readTestFile(t, "testdata/minimal.yaml")) + more + "\n"
}
