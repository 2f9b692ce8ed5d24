package fault

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestHalfOpen(t *testing.T) {
	t.Parallel()
	onEveryLine(t, func(b *bench) {
		b.faults(Rule{Fault: HalfOpen, After: 1, Times: 1})
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		answer := make(chan heard, 1)
		go func() { answer <- b.postIn(ctx, watchPath, connectStream, "Stub", "wait") }()
		b.wait(Condition{Messages: 1})
		b.gateway.wantOpen(b.T, 0)
		if b.major == 1 {
			// Nothing in HTTP/1.1 notices; the client has to.
			cancel()
		}
		got := b.await(answer)
		if b.major == 2 {
			b.want(got, 1, "")
			if got.err == nil || errors.Is(got.err, context.Canceled) {
				b.Errorf("a ping was answered: %v", got.err)
			}
		}
		b.wait(Condition{Open: new(int)})
		b.want(b.post(watchPath, connectStream), 3, "{}")
	})
}

func TestHalfOpenIsSilence(t *testing.T) {
	t.Parallel()
	b := newBench(t, kindsOfLine()[0])
	c, err := net.Dial("tcp", strings.TrimPrefix(b.proxy.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := "POST " + getPath + " HTTP/1.1\r\nHost: x\r\nStub: wait\r\nContent-Type: application/proto\r\nContent-Length: 0\r\n\r\n"
	if _, err := c.Write([]byte(ask)); err != nil {
		t.Fatal(err)
	}
	b.gateway.wantOpen(t, 1)
	b.now(HalfOpen, 1)
	b.gateway.wantOpen(t, 0)
	if err := c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestHalfOpenTakesTheWholeConnection(t *testing.T) {
	t.Parallel()
	b := newBench(t, kindsOfLine()[1])
	b.client.Transport.(*http.Transport).HTTP2 = nil // without pings
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answers := make(chan heard, 2)
	for range cap(answers) {
		go func() { answers <- b.postIn(ctx, watchPath, connectStream, "Stub", "wait") }()
	}
	b.wait(Condition{Begun: 2})
	b.gateway.wantOpen(t, 2)
	b.faults(Rule{Procedure: "Get", Fault: HalfOpen})
	third := make(chan heard, 1)
	go func() { third <- b.postIn(ctx, getPath, unaryProto) }()
	b.gateway.wantOpen(t, 0)
	if open := b.proxy.Calls("Watch").Open; open != 2 {
		t.Errorf("%d watches are open, want 2 that hear nothing", open)
	}
	// On a dead connection a new call reaches nobody.
	late, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	if got := b.postIn(late, getPath, unaryProto); !errors.Is(got.err, context.DeadlineExceeded) {
		t.Errorf("got %+v", got)
	}
	if begun := b.proxy.Calls("Get").Begun; begun != 1 {
		t.Errorf("%d calls of Get were seen", begun)
	}
	cancel()
	b.await(answers)
	b.await(answers)
	b.await(third)
	b.wait(Condition{Open: new(int)})
}
