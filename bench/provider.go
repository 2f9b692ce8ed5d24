package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/verigate/verigate/bench/rig"
)

// hostedPath begins the path of a page; the number of the answer follows.
const hostedPath = "/hosted/page/"

// provider plays VerifyHuman's POST /hosted/generate on loopback and remembers
// how long each answer took it, so that this can be taken off.
type provider struct {
	url    string
	server *http.Server
	done   chan error
	count  atomic.Int64

	mu    sync.Mutex
	times map[int64]time.Duration
}

func startProvider(ctx context.Context) (*provider, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the provider: %w", err)
	}
	p := &provider{url: "http://" + listener.Addr().String(), done: make(chan error, 1), times: map[int64]time.Duration{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hosted/generate", p.generate)
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: toldPatience}
	go func() { p.done <- p.server.Serve(listener) }()
	return p, nil
}

// stop ends the server and waits for it.
func (p *provider) stop() error {
	err := p.server.Close()
	if served := <-p.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// generate answers with a page of its own for each request, as VerifyHuman's
// documentation shows it.
func (p *provider) generate(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	var asked struct {
		Product string `json:"product"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Product != rig.OwnNames().Product {
		http.Error(w, `{"error":"unknown product"}`, http.StatusBadRequest)
		return
	}
	n := p.count.Add(1)
	number := strconv.FormatInt(n, 10)
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"token":"start_%s_%d","hosted_url":"%s","expires_at":"%s"}`, // whoever asked may be gone
		number, began.UnixNano(), p.url+hostedPath+number, began.Add(2*time.Hour).UTC().Format(time.RFC3339))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.times[n] = time.Since(began)
}

// took returns how long the answer with this page took the provider.
func (p *provider) took(hostedURL string) (time.Duration, error) {
	n, err := strconv.ParseInt(strings.TrimPrefix(hostedURL, p.url+hostedPath), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the page %q is not the provider's", hostedURL)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.times[n], nil
}
