package fault

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// line is a client's connection, which can fall silent.
//
// A silent line swallows what is written to it. It still reads, since a client
// cannot tell that from a line that does not, and the proxy learns so that the
// client has gone; what it reads reaches nobody (Proxy.ServeHTTP looks).
type line struct {
	net.Conn

	once     sync.Once
	silenced chan struct{}
}

func newLine(c net.Conn) *line { return &line{Conn: c, silenced: make(chan struct{})} }

// Write writes, or does as if.
func (l *line) Write(b []byte) (int, error) {
	if l.isSilent() {
		return len(b), nil
	}
	n, err := l.Conn.Write(b)
	if l.isSilent() {
		return len(b), nil
	}
	return n, err
}

// silence makes it silent for good.
func (l *line) silence() {
	l.once.Do(func() {
		close(l.silenced)
		// A write that waits for a slow reader must not wait any more.
		_ = l.SetWriteDeadline(time.Unix(1, 0))
	})
}

func (l *line) isSilent() bool {
	select {
	case <-l.silenced:
		return true
	default:
		return false
	}
}

// reset ends the connection with a TCP reset instead of an orderly end.
func (l *line) reset() {
	if tcp, ok := l.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = l.Close()
}

// lines is a listener that hands out lines.
type lines struct{ net.Listener }

// Accept waits for the next client.
func (l lines) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newLine(c), nil
}

type lineKey struct{}

// withLine puts the line below a connection into the context of its requests.
func withLine(ctx context.Context, c net.Conn) context.Context {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	return context.WithValue(ctx, lineKey{}, c)
}

// lineOf returns the line that a request came over.
func lineOf(ctx context.Context) *line {
	l, ok := ctx.Value(lineKey{}).(*line)
	if !ok {
		panic("fault: a request that came over no line")
	}
	return l
}
