package server_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// cable is a line to a database that can be cut and mended.
type cable struct {
	t        *testing.T
	dsn      string
	network  string
	address  string
	listener net.Listener
	running  sync.WaitGroup

	mu   sync.Mutex
	down bool
	ends map[net.Conn]struct{}
	// heard, if set, reads along what goes to the database.
	heard *statements
}

// newCable puts a line in front of the database of dsn; use cable.dsn.
func newCable(t *testing.T, dsn string) *cable {
	t.Helper()
	target, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{t: t, listener: listener, ends: make(map[net.Conn]struct{})}
	c.network, c.address = dialTarget(target.Host, target.Port)
	line := url.URL{
		Scheme: "postgres", User: url.UserPassword(target.User, target.Password), Host: listener.Addr().String(),
		Path: "/" + target.Database, RawQuery: "sslmode=disable",
	}
	c.dsn = line.String()
	c.running.Go(c.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		c.cut()
		c.running.Wait()
	})
	return c
}

// dialTarget says where a Postgres host and port are: a host that is a path is
// the directory of a Unix socket.
func dialTarget(host string, port uint16) (network, address string) {
	name := strconv.Itoa(int(port))
	if filepath.IsAbs(host) {
		return "unix", filepath.Join(host, ".s.PGSQL."+name)
	}
	return "tcp", net.JoinHostPort(host, name)
}

func (c *cable) accept() {
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.running.Go(func() { c.join(near) })
	}
}

// join copies both ways until one side ends or the cable is cut.
func (c *cable) join(near net.Conn) {
	defer c.drop(near)
	far, err := (&net.Dialer{}).DialContext(context.WithoutCancel(c.t.Context()), c.network, c.address)
	if err != nil {
		return
	}
	defer c.drop(far)
	if !c.keep(near) || !c.keep(far) {
		return
	}
	var other sync.WaitGroup
	other.Go(func() {
		_, _ = io.Copy(c.tapped(far), near)
		_ = far.Close()
	})
	_, _ = io.Copy(near, far)
	_ = near.Close()
	other.Wait()
}

func (c *cable) keep(end net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.down {
		c.ends[end] = struct{}{}
	}
	return !c.down
}

func (c *cable) drop(end net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ends, end)
	_ = end.Close()
}

// listen lets somebody read along on connections from now on.
func (c *cable) listen(s *statements) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = s
}

// tapped is the far end; what is written to it is read along before it arrives.
func (c *cable) tapped(far net.Conn) io.Writer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heard == nil {
		return far
	}
	return io.MultiWriter(c.heard.connection(), far)
}

// cut breaks every connection and refuses new ones.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = true
	for end := range c.ends {
		_ = end.Close()
	}
}

// mend lets connections through again.
func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = false
}
