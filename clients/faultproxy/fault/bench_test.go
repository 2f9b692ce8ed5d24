package fault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait. Nothing waits for it to pass.
const patience = 30 * time.Second

const (
	watchPath = "/test.v1.StubService/Watch"
	getPath   = "/test.v1.StubService/Get"
)

// gateway is the stub behind the proxy. Watch sends three messages; with the
// header Stub: wait it then waits until it is released or the call is dropped.
// Get echoes the request; with Stub: wait it first waits in the same way.
type gateway struct {
	release chan struct{}

	mu      sync.Mutex
	open    int
	changed chan struct{}
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.count(1)
	defer g.count(-1)
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	w.Header().Set("Stub-Proto", r.Proto)
	frames := framingOf(r.Header.Get("Content-Type"))
	if frames == unframed {
		if g.waits(r) {
			_, _ = w.Write(body)
		}
		return
	}
	for i := range 3 {
		_, _ = w.Write(envelope(0, fmt.Append(nil, "message ", i+1)))
		_ = http.NewResponseController(w).Flush()
	}
	if g.waits(r) {
		_ = frames.writeEnd(w)
	}
}

// waits returns false when the call was dropped.
func (g *gateway) waits(r *http.Request) bool {
	if r.Header.Get("Stub") != "wait" {
		return true
	}
	select {
	case <-g.release:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (g *gateway) count(by int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open += by
	close(g.changed)
	g.changed = make(chan struct{})
}

// wantOpen waits until so many calls are open at the gateway.
func (g *gateway) wantOpen(t *testing.T, want int) {
	t.Helper()
	over := time.After(patience)
	for {
		g.mu.Lock()
		open, changed := g.open, g.changed
		g.mu.Unlock()
		if open == want {
			return
		}
		select {
		case <-changed:
		case <-over:
			t.Fatalf("%d calls are open at the gateway, want %d", open, want)
		}
	}
}

// bench is a proxy before a stub, and a client of one kind.
type bench struct {
	*testing.T

	proxy   *Proxy
	gateway *gateway
	client  *http.Client
	major   int
}

// kindOfLine is how a client speaks.
type kindOfLine struct {
	name      string
	tls       bool
	major     int
	protocols *http.Protocols
}

func kindsOfLine() []kindOfLine {
	return []kindOfLine{
		{"HTTP/1.1", false, 1, protocols(true, false, false)},
		{"HTTP/2 without TLS", false, 2, protocols(false, false, true)},
		{"HTTP/1.1 over TLS", true, 1, protocols(true, false, false)},
		{"HTTP/2 over TLS", true, 2, protocols(false, true, false)},
	}
}

// onEveryLine runs a test over each kind of line.
func onEveryLine(t *testing.T, test func(b *bench)) {
	t.Helper()
	for _, kind := range kindsOfLine() {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			test(newBench(t, kind))
		})
	}
}

func newBench(t *testing.T, kind kindOfLine) *bench {
	t.Helper()
	g := &gateway{release: make(chan struct{}), changed: make(chan struct{})}
	upstream := httptest.NewUnstartedServer(g)
	upstream.Config.Protocols = protocols(true, false, true)
	upstream.Start()
	t.Cleanup(upstream.Close)
	proxy, err := Start(t.Context(), Config{Upstream: upstream.URL, TLS: kind.tls})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{T: t, proxy: proxy, gateway: g, major: kind.major}
	b.client = b.newClient(kind)
	return b
}

func (b *bench) newClient(kind kindOfLine) *http.Client {
	transport := &http.Transport{
		Protocols: kind.protocols, DisableCompression: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		HTTP2:           &http.HTTP2Config{SendPingTimeout: 200 * time.Millisecond, PingTimeout: 200 * time.Millisecond},
	}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// faults sets the rules.
func (b *bench) faults(rules ...Rule) {
	b.Helper()
	if err := b.proxy.SetFaults(rules...); err != nil {
		b.Fatal(err)
	}
}

// wait waits until the proxy has seen what is wanted.
func (b *bench) wait(until Condition) Calls {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	calls, err := b.proxy.Wait(ctx, until)
	if err != nil {
		b.Fatalf("never saw %+v: %+v", until, calls)
	}
	return calls
}

// now breaks the open calls.
func (b *bench) now(fault Kind, want int) {
	b.Helper()
	hit, err := b.proxy.Now(b.Context(), "", fault)
	if err != nil || hit != want {
		b.Fatalf("%s hit %d calls, want %d: %v", fault, hit, want, err)
	}
}

// heard is all that a client got of a response.
type heard struct {
	status   int
	header   http.Header
	body     string
	messages []string
	// last is the end-of-stream message.
	last    string
	trailer http.Header
	err     error
}

// post calls a procedure and reads the answer to its end.
func (b *bench) post(path, contentType string, header ...string) heard {
	b.Helper()
	return b.postIn(b.Context(), path, contentType, header...)
}

func (b *bench) postIn(ctx context.Context, path, contentType string, header ...string) heard {
	b.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.proxy.URL()+path, strings.NewReader("asked"))
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Authorization", "Bearer test")
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := b.client.Do(request)
	if err != nil {
		return heard{err: err}
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.ProtoMajor != b.major {
		b.Errorf("the answer is %s", answer.Proto)
	}
	got := heard{status: answer.StatusCode, header: answer.Header}
	frames := framingOf(answer.Header.Get("Content-Type"))
	for {
		data, err := frames.next(answer.Body)
		switch {
		case errors.Is(err, io.EOF):
			got.trailer = answer.Trailer
			return got
		case err != nil:
			got.err = err
			return got
		case frames == unframed:
			got.body += string(data)
		case isMessage(data[0]):
			got.messages = append(got.messages, string(data[prefixSize:]))
		default:
			got.last = string(data[prefixSize:])
		}
	}
}

// later calls a procedure in the background.
func (b *bench) later(path, contentType string, header ...string) <-chan heard {
	b.Helper()
	answer := make(chan heard, 1)
	go func() { answer <- b.post(path, contentType, header...) }()
	return answer
}

// await waits for an answer.
func (b *bench) await(answer <-chan heard) heard {
	b.Helper()
	select {
	case got := <-answer:
		return got
	case <-time.After(patience):
		b.Fatal("no answer")
		return heard{}
	}
}

// want compares what a client heard of a stream.
func (b *bench) want(got heard, messages int, last string) {
	b.Helper()
	if len(got.messages) != messages || got.last != last {
		b.Errorf("got %+v, want %d messages and the end %q", got, messages, last)
	}
}
