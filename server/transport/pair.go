package transport

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// maxPEM bounds a certificate or key file. Long chains take some 10 KiB; more
// than this is the wrong file, perhaps an endless one.
const maxPEM = 1 << 20

// othersRead is the permission bit that lets every user read a file.
const othersRead = 0o004

// pairContent is what the two files held at one moment.
type pairContent struct {
	certificate, key []byte
}

// fingerprint identifies the content of both files. Modification times do not:
// they survive quick writes and say nothing about swapped symbolic links.
type fingerprint [2][sha256.Size]byte

func (c pairContent) fingerprint() fingerprint {
	return fingerprint{sha256.Sum256(c.certificate), sha256.Sum256(c.key)}
}

// readPair reads both files.
func readPair(certFile, keyFile string) (pairContent, error) {
	certificate, err := readPEM("certificate", certFile)
	if err != nil {
		return pairContent{}, err
	}
	key, err := readPEM("key", keyFile)
	if err != nil {
		return pairContent{}, err
	}
	return pairContent{certificate: certificate, key: key}, nil
}

func readPEM(what, file string) (content []byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, unreadable(what, file, err)
	}
	defer func() { _ = f.Close() }()
	content, err = io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err != nil {
		return nil, unreadable(what, file, err)
	}
	if len(content) > maxPEM {
		return nil, fmt.Errorf("TLS %s file %s: it is larger than 1 MiB; check that it is the right file", what, file)
	}
	return content, nil
}

func unreadable(what, file string, err error) error {
	// The path is in the text already.
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err
	}
	return fmt.Errorf("TLS %s file %s: it cannot be read: %w; check the path, and that this process may read it", what, file, err)
}

// parse makes the pair that a server presents. File names are for the errors.
func (c pairContent) parse(certFile, keyFile string) (*tls.Certificate, error) {
	if err := checkCertificate(c.certificate, certFile); err != nil {
		return nil, err
	}
	if err := checkKey(c.key, keyFile); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(c.certificate, c.key)
	if err != nil {
		return nil, fmt.Errorf("TLS key file %s: it does not fit the certificate in %s: %w; "+
			"give the private key that the first certificate of the chain was issued for", keyFile, certFile, err)
	}
	return &pair, nil
}

// checkCertificate finds what crypto/tls would refuse without naming the file.
func checkCertificate(content []byte, file string) error {
	block, others := findBlock(content, func(kind string) bool { return kind == "CERTIFICATE" })
	if block == nil {
		return fmt.Errorf("TLS certificate file %s: it holds no PEM block of type CERTIFICATE (found: %s); "+
			"give the chain in PEM, the server's own certificate first", file, others)
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return fmt.Errorf("TLS certificate file %s: its first certificate is malformed: %w; export the chain in PEM again", file, err)
	}
	return nil
}

func checkKey(content []byte, file string) error {
	block, others := findBlock(content, func(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") })
	if block == nil {
		return fmt.Errorf("TLS key file %s: it holds no PEM block of type PRIVATE KEY (found: %s); "+
			"give the certificate's private key in PEM", file, others)
	}
	// The two ways to say so are those of PKCS #8 and of the older RFC 1421.
	if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return fmt.Errorf("TLS key file %s: the key is encrypted with a passphrase; "+
			"decrypt it with `openssl pkey` and protect the file by its permissions", file)
	}
	return nil
}

// findBlock returns the first PEM block of a wanted type, or the types of those
// that are there instead.
func findBlock(content []byte, wanted func(kind string) bool) (found *pem.Block, others string) {
	var kinds []string
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if wanted(block.Type) {
			return block, ""
		}
		kinds = append(kinds, block.Type)
	}
	if len(kinds) == 0 {
		return nil, "no PEM at all"
	}
	return nil, strings.Join(kinds, ", ")
}

// isExposed reports whether every user of the machine may read a file.
func isExposed(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().Perm()&othersRead != 0
}
