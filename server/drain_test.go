package server_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/config"
)

// stopBound is what Serve promises above Config.Drain, and some slack for a
// slow machine.
const stopBound = 13 * time.Second

func TestShutdownDrainsEveryStreamSpreadOverTheDrainTime(t *testing.T) {
	t.Parallel()
	const streams, spread = 40, time.Second
	g := open(t, func(c *config.Config) { c.Drain = spread })
	id := g.start(g.api(g.key)).GetVerification().GetId()
	open := make([]*stream, 0, streams)
	for i := range streams {
		s := watch(t, g.apiOver(wires()[i%len(wires())], g.key), &verigatev1.WatchStatusRequest{Id: id})
		s.next()
		open = append(open, s)
	}
	ends := make([]time.Time, streams)
	var all sync.WaitGroup
	for i, s := range open {
		all.Go(func() {
			u, err := s.in.Receive()
			if err != nil || u.GetKind() != drain || u.GetReconnectAfter() == nil {
				t.Errorf("stream %d ended with %v, %v; want a drain message", i, u, err)
			}
			ends[i] = time.Now()
		})
	}
	began := time.Now()
	if err := g.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if took := time.Since(began); took > spread+stopBound {
		t.Errorf("Serve returned after %v", took)
	}
	all.Wait()
	first, last := ends[0], ends[0]
	for _, end := range ends {
		if end.Before(first) {
			first = end
		}
		if end.After(last) {
			last = end
		}
	}
	// The chance that forty random times of a second lie within 300 ms is nil.
	if last.Sub(first) < 300*time.Millisecond {
		t.Errorf("all streams ended within %v; want them spread over %v", last.Sub(first), spread)
	}
}

func TestServeReturnsInTimeDespiteClientsThatDoNothing(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	started := g.start(g.api(g.key))
	watching := fmt.Sprintf(`{"id":%q}`, started.GetVerification().GetId())
	const head = "POST /verigate.v1.VerificationService/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n" +
		"Content-Type: application/%s\r\nContent-Length: %d\r\n\r\n"
	stream := fmt.Sprintf(head, "WatchStatus", g.key, "connect+json", 5+len(watching)) + "\x00\x00\x00\x00" + string(rune(len(watching))) + watching
	for name, bytes := range map[string]string{
		"never sends":                 "",
		"stops in the headers":        "POST /verigate",
		"never sends its message":     fmt.Sprintf(head, "GetVerification", g.key, "json", 100),
		"never sends its webhook":     "POST /webhooks/fake HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
		"watches and never reads":     stream,
		"is refused and sends no end": strings.Replace(fmt.Sprintf(head, "GetVerification", "nobody", "json", 100), "\r\n\r\n", "\r\n\r\n{", 1),
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := conn.Write([]byte(bytes)); err != nil {
			t.Fatalf("the client that %s: %v", name, err)
		}
	}
	eventually(t, "the stream is open", func() bool { return g.watchers() == 1 })
	began := time.Now()
	if err := g.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if took := time.Since(began); took > stopBound {
		t.Errorf("Serve returned after %v", took)
	}
}

func TestDrainingEndsALongPollWithTheCurrentState(t *testing.T) {
	t.Parallel()
	g := open(t, nil)
	api := g.api(g.key)
	v := g.start(api).GetVerification()
	polled := make(chan *verigatev1.GetVerificationResponse, 1)
	go func() {
		got, err := api.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{
			Id: v.GetId(), AfterVersion: v.GetVersion(), Wait: durationpb.New(time.Minute),
		})
		if err != nil {
			t.Errorf("GetVerification: %v", err)
		}
		polled <- got
	}()
	eventually(t, "the poll waits", func() bool { return g.watchers() == 1 })
	if err := g.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if got := <-polled; got.GetVerification().GetVersion() != v.GetVersion() {
		t.Errorf("the poll said %v", got)
	}
}
