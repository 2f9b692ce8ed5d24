package deploy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
)

// The paths of an upstream: one breaks off in its answer, the other holds it
// back.
const (
	halfPath = "/half"
	heldPath = "/webhooks/held"
)

// upstream stands where the gateway stands, on both ports, and behaves as badly
// as a test needs.
type upstream struct {
	*gateway

	// stop closes both ports and all connections.
	stop func()
	// arrived gets one for each request that is held, when it is there as a whole,
	// and leave lets it go.
	arrived, leave chan struct{}
}

func openUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{gateway: &gateway{host: loopback()}, arrived: make(chan struct{}), leave: make(chan struct{})}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: u.handler(), Protocols: protocols, ReadHeaderTimeout: patience}
	var serving sync.WaitGroup
	for _, port := range []*int{&u.public, &u.webhooks} {
		var config net.ListenConfig
		l, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(u.host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		*port = l.Addr().(*net.TCPAddr).Port
		serving.Go(func() { _ = server.Serve(l) })
	}
	u.stop = sync.OnceFunc(func() {
		_ = server.Close()
		serving.Wait()
	})
	t.Cleanup(u.stop)
	return u
}

func (u *upstream) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc(halfPath, func(w http.ResponseWriter, _ *http.Request) {
		const whole = 100
		w.Header().Set("Content-Length", strconv.Itoa(whole))
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc(heldPath, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return
		}
		if u.hold(r.Context()) {
			_, _ = io.WriteString(w, strconv.FormatInt(n, 10))
		}
	})
	return mux
}

// hold says that a request is there and waits until it may go, unless the request
// ends first.
func (u *upstream) hold(ctx context.Context) bool {
	select {
	case u.arrived <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	select {
	case <-u.leave:
		return true
	case <-ctx.Done():
		return false
	}
}
