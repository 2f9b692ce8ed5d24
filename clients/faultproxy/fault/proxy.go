package fault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// maxRequest bounds a request's body, which is read whole: no call of the
	// gateway streams its requests.
	maxRequest = 4 << 20
	// headerTimeout bounds how long a client may take for a request's header.
	headerTimeout = 30 * time.Second
	// maxStreams is how many calls one HTTP/2 connection may carry at a time.
	maxStreams = 1000
)

// Config says where a proxy stands.
type Config struct {
	// Upstream is the gateway's address, http://127.0.0.1:PORT.
	Upstream string
	// Listen is host and port of the proxy, on loopback; "" is 127.0.0.1:0, any
	// free port.
	Listen string
	// TLS makes it serve HTTPS, with a certificate for localhost and 127.0.0.1 that
	// it signs itself at start.
	TLS bool
}

// Proxy is a running proxy. Its methods may be called at any time from any
// goroutine.
type Proxy struct {
	upstream     *url.URL
	http1, http2 *http.Transport
	book         *book

	url, control string
	servers      []*http.Server
	// waitLimit bounds how long the control API waits.
	waitLimit time.Duration

	// running are the servers' goroutines, handlers those of the requests.
	running, handlers sync.WaitGroup
	// admission guards closing, so that no request begins behind Close's back.
	admission sync.Mutex
	closing   bool
}

// Start starts a proxy and its control port. Errors name the field of Config, or
// say why a port cannot be had.
func Start(ctx context.Context, config Config) (*Proxy, error) {
	upstream, err := parseUpstream(config.Upstream)
	if err != nil {
		return nil, err
	}
	calls, err := listen(ctx, config.Listen)
	if err != nil {
		return nil, err
	}
	control, err := listen(ctx, "")
	if err != nil {
		return nil, errors.Join(err, calls.Close())
	}
	p := &Proxy{
		upstream: upstream, book: newBook(), waitLimit: longestWait,
		// A connection for each call: none that the gateway closed is taken again.
		http1: &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		http2: &http.Transport{DisableCompression: true, Protocols: protocols(false, false, true)},
		url:   "http://" + calls.Addr().String(), control: "http://" + control.Addr().String(),
	}
	server := newServer(p.admitted(http.HandlerFunc(p.serve)))
	server.ConnContext = withLine
	if config.TLS {
		certificate, err := selfSigned()
		if err != nil {
			return nil, errors.Join(err, calls.Close(), control.Close())
		}
		p.url = "https://" + calls.Addr().String()
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	p.start(server, func() error {
		if config.TLS {
			return server.ServeTLS(lines{calls}, "", "")
		}
		return server.Serve(lines{calls})
	})
	controller := newServer(p.admitted(p.controlHandler()))
	p.start(controller, func() error { return controller.Serve(control) })
	return p, nil
}

// URL is the address that clients call instead of the gateway's.
func (p *Proxy) URL() string { return p.url }

// ControlURL is the address of the control API.
func (p *Proxy) ControlURL() string { return p.control }

// Close ends all connections and waits until nothing of the proxy runs any more.
func (p *Proxy) Close() error {
	p.admission.Lock()
	p.closing = true
	p.admission.Unlock()
	var errs []error
	for _, s := range p.servers {
		errs = append(errs, s.Close())
	}
	p.running.Wait()
	p.handlers.Wait()
	p.http1.CloseIdleConnections()
	p.http2.CloseIdleConnections()
	return errors.Join(errs...)
}

// SetFaults replaces all rules. Calls that were hit stay hit. Errors name the
// rule by its place and the field.
func (p *Proxy) SetFaults(rules ...Rule) error {
	for i, r := range rules {
		if err := r.check(); err != nil {
			return fmt.Errorf("rule %d: %w", i, err)
		}
	}
	p.book.set(rules)
	return nil
}

// Now lets a fault hit the calls of a procedure ("" for all) that are open, and
// returns how many there were, once it is in effect. Only the faults that can
// come in the middle are possible: cut, truncate, end, stall and half_open.
func (p *Proxy) Now(ctx context.Context, procedure string, fault Kind) (int, error) {
	if err := checkSudden(fault); err != nil {
		return 0, err
	}
	hit := 0
	for _, c := range p.book.open(procedure) {
		o := order{fault: fault, applied: make(chan struct{})}
		select {
		case c.orders <- o:
			<-o.applied
			hit++
		case <-c.ended:
		case <-ctx.Done():
			return hit, ctx.Err()
		}
	}
	return hit, nil
}

// Calls returns what is known about the calls of a procedure, "" for all.
func (p *Proxy) Calls(procedure string) Calls {
	calls, _ := p.book.list(procedure)
	return calls
}

// Wait returns the calls as soon as a condition holds. When ctx ends first, it
// returns them as they are, and ctx's error.
func (p *Proxy) Wait(ctx context.Context, until Condition) (Calls, error) {
	calls, ok := p.book.wait(ctx, until)
	if !ok {
		return calls, ctx.Err()
	}
	return calls, nil
}

// Forget drops the record of the calls that ended.
func (p *Proxy) Forget() { p.book.forget() }

// start runs a server until it is closed.
func (p *Proxy) start(server *http.Server, serve func() error) {
	p.servers = append(p.servers, server)
	p.running.Go(func() { _ = serve() }) // it always ends with an error: closed
}

// admitted makes Close wait for a handler.
func (p *Proxy) admitted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.admission.Lock()
		if p.closing {
			p.admission.Unlock()
			panic(http.ErrAbortHandler)
		}
		p.handlers.Add(1)
		p.admission.Unlock()
		defer p.handlers.Done()
		next.ServeHTTP(w, r)
	})
}

// serve is what the clients talk to.
func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	l := lineOf(r.Context())
	if l.isSilent() {
		<-r.Context().Done()
		return
	}
	request, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	x := &exchange{proxy: p, line: l, w: w, r: r}
	if procedure, ok := procedureOf(r); ok {
		x.call, x.rule = p.book.begin(procedure, r, request)
		defer p.book.end(x.call)
	}
	x.run(request)
}

// procedureOf returns the method that a request calls, if it calls one.
func procedureOf(r *http.Request) (string, bool) {
	segments := strings.Split(r.URL.Path, "/")
	if r.Method == http.MethodOptions || len(segments) < 3 {
		return "", false
	}
	service, method := segments[len(segments)-2], segments[len(segments)-1]
	return method, strings.Contains(service, ".") && method != ""
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, Protocols: protocols(true, true, true),
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
	}
}

func protocols(http1, secured2, unencrypted2 bool) *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(http1)
	p.SetHTTP2(secured2)
	p.SetUnencryptedHTTP2(unencrypted2)
	return &p
}

func parseUpstream(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("upstream: must be an address such as http://127.0.0.1:8080")
	}
	if !loopback(u.Hostname()) {
		return nil, errors.New("upstream: must be on loopback, such as http://127.0.0.1:8080")
	}
	return u, nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || !loopback(host) {
		return nil, errors.New("listen: must be a port on loopback, such as 127.0.0.1:0")
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
