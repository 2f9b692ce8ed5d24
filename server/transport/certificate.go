package transport

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// expiresSoon is how long before its end a certificate is warned about. The
// shortest-lived public ones are renewed earlier than that.
const expiresSoon = 14 * 24 * time.Hour

// Certificate is a server's certificate chain and private key, read from two
// PEM files and replaced while the server runs. Connections that are open keep
// the pair of their handshake; later ones get the newest. It is safe for
// concurrent use.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	current           atomic.Pointer[loadedPair]

	// reading admits one reader of the files; it guards the fields below.
	reading sync.Mutex
	failure failure
	warned  expiry
}

type loadedPair struct {
	certificate *tls.Certificate
	of          fingerprint
}

// failure is what the last look at the files found wrong; zero is nothing.
type failure struct {
	text string
	of   fingerprint
}

// expiry is how near the end of a certificate is.
type expiry int

const (
	expiryFar expiry = iota
	expirySoon
	expiryPassed
)

// OpenCertificate reads a chain and its private key. The error names the file,
// what is wrong with it and what to do: it cannot be read, is not PEM, is
// malformed, is encrypted, or the key belongs to another certificate. A
// certificate that has expired or will within 14 days, and a key that every
// user of the machine may read, are warnings in the log.
func OpenCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	c.reading.Lock()
	defer c.reading.Unlock()
	if _, err := c.renew(context.Background()); err != nil {
		return nil, err
	}
	return c, nil
}

// TLSConfig returns a configuration for a server: TLS 1.2 and 1.3, HTTP/2 and
// HTTP/1.1, and in each handshake the pair that is then in force.
func (c *Certificate) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load().certificate, nil
		},
	}
}

// Reload takes the pair on disk into force if it is another than the present
// one. Its errors are those of OpenCertificate, for the caller to log; the
// present pair then stays.
func (c *Certificate) Reload() error {
	c.reading.Lock()
	defer c.reading.Unlock()
	_, err := c.renew(context.Background())
	return err
}

// Watch looks at both files at an interval, which must be positive, and takes a
// changed pair into force. A pair that does not fit, as in the middle of a
// rotation, is logged once and tried again at every look; the present one
// stays. Watch returns when ctx ends.
func (c *Certificate) Watch(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.look(ctx)
		}
	}
}

func (c *Certificate) look(ctx context.Context) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if news, err := c.renew(ctx); err != nil && news {
		c.log.WarnContext(ctx, "the changed TLS certificate cannot be used; the previous one stays in force", "error", err)
	}
	c.warnOfExpiry(ctx)
}

// renew reads the files and takes a changed pair into force. It reports whether
// an error is another than at the last look.
func (c *Certificate) renew(ctx context.Context) (news bool, err error) {
	content, err := readPair(c.certFile, c.keyFile)
	if err != nil {
		return c.fails(failure{text: err.Error()}), err
	}
	of := content.fingerprint()
	if now := c.current.Load(); now != nil && now.of == of {
		c.failure = failure{}
		return false, nil
	}
	pair, err := content.parse(c.certFile, c.keyFile)
	if err != nil {
		return c.fails(failure{text: err.Error(), of: of}), err
	}
	c.failure = failure{}
	c.current.Store(&loadedPair{certificate: pair, of: of})
	c.announce(ctx)
	return false, nil
}

func (c *Certificate) fails(f failure) (news bool) {
	news = c.failure != f
	c.failure = f
	return news
}

func (c *Certificate) announce(ctx context.Context) {
	leaf := c.current.Load().certificate.Leaf
	c.log.InfoContext(ctx, "TLS certificate in force",
		"file", c.certFile, "serial", leaf.SerialNumber.Text(16), "not_after", leaf.NotAfter)
	if isExposed(c.keyFile) {
		c.log.WarnContext(ctx, "every user of this machine may read the TLS key; run chmod 600 on it", "file", c.keyFile)
	}
	c.warned = expiryFar
	c.warnOfExpiry(ctx)
}

// warnOfExpiry says once that the end is near, and once that it has come.
func (c *Certificate) warnOfExpiry(ctx context.Context) {
	leaf := c.current.Load().certificate.Leaf
	near := nearness(time.Until(leaf.NotAfter))
	if near <= c.warned {
		return
	}
	c.warned = near
	message := "the TLS certificate expires soon; put a renewed pair in its place, no restart is needed"
	if near == expiryPassed {
		message = "the TLS certificate has expired and clients refuse it; put a renewed pair in its place, no restart is needed"
	}
	c.log.WarnContext(ctx, message, "file", c.certFile, "not_after", leaf.NotAfter)
}

func nearness(left time.Duration) expiry {
	switch {
	case left <= 0:
		return expiryPassed
	case left <= expiresSoon:
		return expirySoon
	default:
		return expiryFar
	}
}
