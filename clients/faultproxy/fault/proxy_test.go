package fault

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	connectStream = "application/connect+proto"
	grpcStream    = "application/grpc"
	webStream     = "application/grpc-web+proto"
	unaryProto    = "application/proto"
)

func TestWithoutAFaultEverythingPasses(t *testing.T) {
	t.Parallel()
	onEveryLine(t, func(b *bench) {
		b.want(b.post(watchPath, connectStream), 3, "{}")
		b.want(b.post(watchPath, webStream), 3, "grpc-status: 0\r\n")
		got := b.post(watchPath, grpcStream, "Te", "trailers")
		b.want(got, 3, "")
		if got.trailer.Get("Grpc-Status") != "0" {
			b.Errorf("trailers %v", got.trailer)
		}
		got = b.post(getPath, unaryProto)
		if got.body != "asked" || got.err != nil {
			b.Errorf("got %+v", got)
		}
		if want := map[int]string{1: "HTTP/1.1", 2: "HTTP/2.0"}[b.major]; got.header.Get("Stub-Proto") != want {
			b.Errorf("the gateway was called over %s, want %s", got.header.Get("Stub-Proto"), want)
		}
		calls := b.wait(Condition{Open: new(int), Begun: 4}).Calls
		for i, messages := range []int{3, 3, 3, 1} {
			c := calls[i]
			if c.Messages != messages || c.EndedMS == nil || *c.EndedMS < c.BeganMS ||
				string(c.Request) != "asked" || c.Authorization != "Bearer test" {
				b.Errorf("call %d: %+v", i, c)
			}
		}
	})
}

func TestCut(t *testing.T) {
	t.Parallel()
	onEveryLine(t, func(b *bench) {
		b.faults(Rule{Fault: Cut, After: 1, Times: 1})
		b.wantCut(b.post(watchPath, connectStream), 1)
		b.want(b.post(watchPath, connectStream), 3, "{}")
	})
}

// wantCut checks that a stream was broken off: by a reset of the connection, or
// on HTTP/2 of the stream.
func (b *bench) wantCut(got heard, messages int) {
	b.Helper()
	b.want(got, messages, "")
	if b.major == 1 && !errors.Is(got.err, syscall.ECONNRESET) {
		b.Errorf("not a reset: %v", got.err)
	}
	if b.major == 2 && (got.err == nil || !strings.Contains(got.err.Error(), "stream error")) {
		b.Errorf("not a reset of the stream: %v", got.err)
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	onEveryLine(t, func(b *bench) {
		b.faults(Rule{Fault: Truncate, After: 2})
		got := b.post(watchPath, connectStream)
		b.want(got, 2, "")
		if got.err != nil {
			b.Errorf("the body did not end cleanly: %v", got.err)
		}
		got = b.post(watchPath, grpcStream)
		if len(got.trailer) > 0 || got.err != nil {
			b.Errorf("got %+v", got)
		}
	})
}

func TestEnd(t *testing.T) {
	t.Parallel()
	onEveryLine(t, func(b *bench) {
		b.faults(Rule{Fault: End, After: 1})
		b.want(b.post(watchPath, connectStream, "Stub", "wait"), 1, "{}")
		b.want(b.post(watchPath, webStream, "Stub", "wait"), 1, "grpc-status: 0\r\n")
		if got := b.post(watchPath, grpcStream, "Stub", "wait"); got.trailer.Get("Grpc-Status") != "0" {
			b.Errorf("got %+v", got)
		}
		b.gateway.wantOpen(b.T, 0)
	})
}

func TestStall(t *testing.T) {
	t.Parallel()
	onEveryLine(t, func(b *bench) {
		b.faults(Rule{Fault: Stall, After: 1})
		answer := b.later(watchPath, connectStream, "Stub", "wait")
		b.wait(Condition{Messages: 1})
		b.gateway.wantOpen(b.T, 1)
		close(b.gateway.release)
		b.now(Cut, 1)
		b.wantCut(b.await(answer), 1)
	})
}

func TestBuffer(t *testing.T) {
	t.Parallel()
	onEveryLine(t, func(b *bench) {
		b.faults(Rule{Fault: Buffer})
		answer := b.later(watchPath, connectStream, "Stub", "wait")
		b.gateway.wantOpen(b.T, 1)
		select {
		case got := <-answer:
			b.Errorf("too early: %+v", got)
		default:
		}
		if calls := b.wait(Condition{Begun: 1}); calls.Calls[0].Messages != 0 {
			b.Errorf("passed on: %+v", calls)
		}
		close(b.gateway.release)
		b.want(b.await(answer), 3, "{}")
	})
}

func TestBufferHoldsTheHeaderBack(t *testing.T) {
	t.Parallel()
	onEveryLine(t, func(b *bench) {
		b.faults(Rule{Fault: Buffer})
		ctx, cancel := context.WithTimeout(b.Context(), 300*time.Millisecond)
		defer cancel()
		got := b.postIn(ctx, watchPath, connectStream, "Stub", "wait")
		if got.status != 0 || !errors.Is(got.err, context.DeadlineExceeded) {
			b.Errorf("got %+v", got)
		}
		b.wait(Condition{Begun: 1, Open: new(int)})
		b.gateway.wantOpen(b.T, 0)
	})
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	onEveryLine(t, func(b *bench) {
		b.faults(Rule{Fault: Refuse, Times: 1})
		// Bodies of requests are not sent twice, so that this is the whole story.
		got := b.post(watchPath, connectStream)
		if got.err == nil || got.status != 0 {
			b.Errorf("got %+v", got)
		}
		calls := b.wait(Condition{Begun: 1, Open: new(int)})
		if calls.Calls[0].Messages != 0 {
			b.Errorf("passed on: %+v", calls)
		}
		b.want(b.post(watchPath, connectStream), 3, "{}")
	})
}

func TestNowHitsOpenCalls(t *testing.T) {
	t.Parallel()
	for fault, check := range map[Kind]func(b *bench, got heard){
		Cut: func(b *bench, got heard) { b.wantCut(got, 3) },
		Truncate: func(b *bench, got heard) {
			b.want(got, 3, "")
			if got.err != nil {
				b.Error(got.err)
			}
		},
		End: func(b *bench, got heard) { b.want(got, 3, "{}") },
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			onEveryLine(t, func(b *bench) {
				b.now(fault, 0)
				answer := b.later(watchPath, connectStream, "Stub", "wait")
				b.wait(Condition{Messages: 3})
				b.now(fault, 1)
				check(b, b.await(answer))
				b.gateway.wantOpen(b.T, 0)
			})
		})
	}
}

func TestNowHitsACallThatWasNotAnsweredYet(t *testing.T) {
	t.Parallel()
	onEveryLine(t, func(b *bench) {
		answer := b.later(getPath, unaryProto, "Stub", "wait")
		b.gateway.wantOpen(b.T, 1)
		b.now(Cut, 1)
		if got := b.await(answer); got.err == nil {
			b.Errorf("got %+v", got)
		}
	})
}

func TestStatus(t *testing.T) {
	t.Parallel()
	onEveryLine(t, func(b *bench) {
		b.faults(Rule{Fault: Status, Status: 503, Body: "<html>busy</html>", RetryAfter: "2"})
		got := b.post(watchPath, connectStream)
		if got.status != 503 || got.body != "<html>busy</html>" || got.header.Get("Retry-After") != "2" ||
			!strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			b.Errorf("got %+v", got)
		}
	})
}

func TestError(t *testing.T) {
	t.Parallel()
	const detail = `,"details":[{"type":"google.rpc.RetryInfo","value":"CgIIAQ"}]}`
	onEveryLine(t, func(b *bench) {
		b.faults(Rule{Fault: Error, Code: "unavailable", Message: "busy", RetryAfter: "1"})
		text := `{"code":"unavailable","message":"busy"` + detail
		got := b.post(watchPath, connectStream)
		b.want(got, 0, `{"error":`+text+`}`)
		if got.status != 200 || got.header.Get("Retry-After") != "1" {
			b.Errorf("got %+v", got)
		}
		got = b.post(getPath, unaryProto, "Origin", "http://localhost:1")
		if got.status != 503 || got.body != text || got.header.Get("Content-Type") != "application/json" ||
			got.header.Get("Access-Control-Allow-Origin") != "http://localhost:1" {
			b.Errorf("got %+v", got)
		}
		got = b.post(watchPath, grpcStream)
		if got.header.Get("Grpc-Status") != "14" || got.header.Get("Grpc-Message") != "busy" {
			b.Errorf("got %+v", got)
		}
	})
}

func TestAGatewayThatIsDown(t *testing.T) {
	t.Parallel()
	onEveryLine(t, func(b *bench) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		b.proxy.upstream.Host = l.Addr().String()
		_ = l.Close()
		if got := b.post(watchPath, connectStream); got.status != http.StatusBadGateway {
			b.Errorf("got %+v", got)
		}
	})
}

func TestRulesApplyInOrderUntilTheyAreUsedUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, kindsOfLine()[0])
	b.faults(
		Rule{Procedure: "Get", Fault: Status, Status: 503, Times: 2},
		Rule{Procedure: "Get", Fault: Status, Status: 429, Times: 1},
		Rule{Procedure: "Watch", Fault: Status, Status: 500},
	)
	for _, want := range []int{503, 503, 429, 200} {
		if got := b.post(getPath, unaryProto); got.status != want {
			t.Errorf("status %d, want %d", got.status, want)
		}
	}
	if got := b.post(watchPath, connectStream); got.status != 500 {
		t.Errorf("status %d", got.status)
	}
	if status, text := b.control(http.MethodDelete, "/faults", ""); status != http.StatusNoContent {
		t.Errorf("%d %s", status, text)
	}
	b.want(b.post(watchPath, connectStream), 3, "{}")
}

func TestWhatIsNoCallIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, kindsOfLine()[0])
	b.faults(Rule{Fault: Refuse})
	if got := b.post("/assets/app.js", "text/plain"); got.body != "asked" {
		t.Errorf("got %+v", got)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, b.proxy.URL()+getPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := b.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if calls := b.proxy.Calls(""); calls.Begun != 0 {
		t.Errorf("recorded: %+v", calls)
	}
}
