package bus_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// cable is a line to a server. It begins cut.
type cable struct {
	dsn              string
	network, address string
	listener         net.Listener
	running          sync.WaitGroup

	mu      sync.Mutex
	plugged bool
	ends    []net.Conn
	// swallow makes the lines of today carry nothing.
	swallow *atomic.Bool
}

// newCable puts a line in front of the database of dsn; use cable.dsn.
func newCable(t *testing.T, dsn string) *cable {
	t.Helper()
	target, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	c := lay(t)
	c.network, c.address = "tcp", net.JoinHostPort(target.Host, strconv.Itoa(int(target.Port)))
	if filepath.IsAbs(target.Host) {
		c.network, c.address = "unix", filepath.Join(target.Host, ".s.PGSQL."+strconv.Itoa(int(target.Port)))
	}
	line := url.URL{
		Scheme: "postgres", User: url.UserPassword(target.User, target.Password), Host: c.listener.Addr().String(),
		Path: "/" + target.Database, RawQuery: "sslmode=disable",
	}
	c.dsn = line.String()
	return c
}

// lay returns a cable that leads nowhere yet.
func lay(t *testing.T) *cable {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: listener, swallow: &atomic.Bool{}}
	c.running.Go(c.accept)
	t.Cleanup(func() {
		_ = c.listener.Close()
		c.cut()
		c.running.Wait()
	})
	return c
}

// lead lets callers through to a TCP address.
func (c *cable) lead(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.network, c.address, c.plugged = "tcp", address, true
}

func (c *cable) accept() {
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.join(near)
	}
}

// join connects a caller, or hangs up.
func (c *cable) join(near net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.plugged {
		_ = near.Close()
		return
	}
	far, err := (&net.Dialer{}).DialContext(context.Background(), c.network, c.address)
	if err != nil {
		_ = near.Close()
		return
	}
	c.ends = append(c.ends, near, far)
	swallow := c.swallow
	for from, to := range map[net.Conn]net.Conn{near: far, far: near} {
		c.running.Go(func() {
			_, _ = io.Copy(gated{to, swallow}, from)
			_ = from.Close()
			_ = to.Close()
		})
	}
}

// gated writes, or only says so.
type gated struct {
	io.Writer

	swallow *atomic.Bool
}

func (g gated) Write(p []byte) (int, error) {
	if g.swallow.Load() {
		return len(p), nil
	}
	return g.Writer.Write(p)
}

// deaden lets the lines of today die without a word. Later ones work.
func (c *cable) deaden() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.swallow.Store(true)
	c.swallow = &atomic.Bool{}
}

// plug lets callers through.
func (c *cable) plug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plugged = true
}

// cut ends all lines and lets nobody through.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plugged = false
	for _, end := range c.ends {
		_ = end.Close()
	}
	c.ends = nil
}
