package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"strings"
)

// The kinds of PEM blocks that count. Those of private keys name the algorithm
// before.
const (
	certificateBlock = "CERTIFICATE"
	privateKeyBlock  = "PRIVATE KEY"
)

// tls checks that the files of a listener's certificate are there and fit. Its
// messages name files and never repeat what is in them.
func (c *checker) tls(path string, entry tlsEntry) TLS {
	if !c.report.written(path) || c.report.unread(path) {
		return TLS{}
	}
	both := c.required(path+".certificate", entry.Certificate, "write the path of the certificate chain in PEM form")
	both = c.required(path+".key", entry.Key, "write the path of the certificate's private key in PEM form") && both
	if both {
		c.pair(path, entry)
	}
	return TLS(entry)
}

func (c *checker) pair(path string, entry tlsEntry) {
	chain, chainErr := readPEM(entry.Certificate, "certificate", func(kind string) bool { return kind == certificateBlock })
	if chainErr != nil {
		c.report.checkf(path+".certificate", "%v; write the path of the certificate chain", chainErr)
	}
	key, keyErr := readPEM(entry.Key, "private key", func(kind string) bool { return strings.HasSuffix(kind, privateKeyBlock) })
	if keyErr != nil {
		c.report.checkf(path+".key", "%v; write the path of the certificate's private key", keyErr)
	}
	if chainErr != nil || keyErr != nil {
		return
	}
	block, _ := pem.Decode(chain)
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		c.report.checkf(path+".certificate", "the first certificate in %s is damaged; write the file anew", quotePath(entry.Certificate))
		return
	}
	if _, err := tls.X509KeyPair(chain, key); err != nil {
		c.report.checkf(path+".key", "%s is not the private key of the certificate in %s, or has a passphrase; write the files of one pair",
			quotePath(entry.Key), quotePath(entry.Certificate))
	}
}

// readPEM returns the blocks of a file that are of the wanted kind, which what
// names in its error.
func readPEM(path, what string, wanted func(kind string) bool) ([]byte, error) {
	content, err := readRegular(path)
	if err != nil {
		return nil, err
	}
	var found []byte
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if wanted(block.Type) {
			found = append(found, pem.EncodeToMemory(block)...)
		}
	}
	if len(found) == 0 {
		return nil, errors.New(quotePath(path) + " holds no " + what + " in PEM form")
	}
	return found, nil
}

// readRegular reads a file, but no device or pipe, which might never end. Its
// errors are for the configuration's reader.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New(quotePath(path) + " is not a file")
	}
	if err == nil {
		var content []byte
		if content, err = readFile(path); err == nil {
			return content, nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New(quotePath(path) + " does not exist")
	case errors.Is(err, fs.ErrPermission):
		return nil, errors.New("this user may not read " + quotePath(path))
	}
	return nil, errors.New(quotePath(path) + " cannot be read")
}
