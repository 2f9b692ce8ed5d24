package rpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/verification"
)

func TestASlowReaderSkipsToTheNewestAndBlocksNobody(t *testing.T) {
	t.Parallel()
	e := newEdge(t, slowTiming(), time.Minute)
	api := e.inProcess()
	request := &verigatev1.WatchStatusRequest{Id: e.id()}
	slow, err := api.WatchStatus(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slow.Close() })
	quick, err := api.WatchStatus(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = quick.Close() })
	if _, err := quick.Receive(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both watch", func() bool { return e.hub.Count() == 2 })
	const moves = 50
	for i := range moves {
		e.move([]verification.State{verification.Processing, verification.Pending}[i%2])
		if u, err := quick.Receive(); err != nil || u.GetVersion() != int64(i+2) {
			t.Fatalf("the quick reader got %v, %v after move %d", u, err, i)
		}
	}
	e.move(verification.Approved)
	var versions []int64
	for {
		u, err := slow.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, u.GetVersion())
	}
	if last := versions[len(versions)-1]; last != moves+2 {
		t.Errorf("the slow reader ended at version %d, want %d", last, moves+2)
	}
	// One message under way, one that was read before the reader stopped.
	if len(versions) > 5 {
		t.Errorf("the slow reader got %d messages, want it to skip: %v", len(versions), versions)
	}
}

func TestHeartbeatsFartherApartThanTheWriteDeadlineKeepTheStream(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"over HTTP 1.1": false, "over HTTP 2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, park.Timing{Heartbeat: 700 * time.Millisecond, MaxAge: time.Hour, Write: 250 * time.Millisecond}, time.Minute)
			stream, err := overHTTP(t, e.serve(t), http2).WatchStatus(t.Context(), &verigatev1.WatchStatusRequest{Id: e.id()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = stream.Close() })
			for i := range 4 {
				if _, err := stream.Receive(); err != nil {
					t.Fatalf("message %d: %v", i, err)
				}
			}
		})
	}
}

func TestAReaderThatStopsReadingIsCutOff(t *testing.T) {
	t.Parallel()
	e := newEdge(t, park.Timing{Heartbeat: time.Microsecond, MaxAge: time.Hour, Write: 50 * time.Millisecond}, time.Minute)
	address := strings.TrimPrefix(e.serve(t), "http://")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	// A small window, so that the flood of heartbeats fills the line soon.
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := tcp.SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
	}
	message := `{"id":"` + e.id() + `"}`
	_, err = conn.Write([]byte("POST /verigate.v1.VerificationService/WatchStatus HTTP/1.1\r\nHost: x\r\n" +
		"Content-Type: application/connect+json\r\nContent-Length: 50\r\n\r\n" +
		"\x00\x00\x00\x00" + string(rune(len(message))) + message))
	if err != nil {
		t.Fatal(err)
	}
	if len(message) != 45 {
		t.Fatalf("the message has %d bytes, the request says 45", len(message))
	}
	eventually(t, "the call is over", func() bool {
		e.calls.mu.Lock()
		defer e.calls.mu.Unlock()
		return len(e.calls.codes) == 1
	})
	if n := e.hub.Count(); n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}

func TestAnUploadThatDripsIsCutOff(t *testing.T) {
	t.Parallel()
	for name, credential := range map[string]string{"with a credential": "somebody", "without a good one": "nobody"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, slowTiming(), 50*time.Millisecond)
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(e.serve(t), "http://"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			_, err = conn.Write([]byte("POST /verigate.v1.VerificationService/GetVerification HTTP/1.1\r\nHost: x\r\n" +
				"Authorization: Bearer " + credential + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"))
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("the server still waits: %v", err)
			}
		})
	}
}

func TestTheUploadsDeadlineEndsNoCallThatWaits(t *testing.T) {
	t.Parallel()
	const upload, wait = 40 * time.Millisecond, 400 * time.Millisecond
	for name, http2 := range map[string]bool{"over HTTP 1.1": false, "over HTTP 2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, park.Timing{Heartbeat: wait, MaxAge: time.Hour}, upload)
			url := e.serve(t)
			for method, options := range map[string][]connecthttp.Option{"POST": nil, "GET": {connecthttp.WithHTTPGet()}} {
				got, err := overHTTP(t, url, http2, options...).GetVerification(t.Context(),
					&verigatev1.GetVerificationRequest{Id: e.id(), AfterVersion: 1, Wait: durationpb.New(wait)})
				if err != nil || got.GetVerification().GetVersion() != 1 {
					t.Errorf("a long poll by %s: %v, %v", method, got, err)
				}
			}
			stream, err := overHTTP(t, url, http2).WatchStatus(t.Context(), &verigatev1.WatchStatusRequest{Id: e.id()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = stream.Close() })
			for i := range 2 {
				if _, err := stream.Receive(); err != nil {
					t.Errorf("message %d of the stream: %v", i, err)
				}
			}
		})
	}
}

func TestADecisionBetweenRegisteringAndReadingIsNotMissed(t *testing.T) {
	t.Parallel()
	e := newEdge(t, slowTiming(), time.Minute)
	decided := false
	e.row.reading = func() {
		if !decided {
			decided = true
			e.move(verification.Approved)
		}
	}
	stream, err := e.inProcess().WatchStatus(t.Context(), &verigatev1.WatchStatusRequest{Id: e.id()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	if u, err := stream.Receive(); err != nil || !u.GetTerminal() {
		t.Errorf("the first message is %v, %v", u, err)
	}
}

func TestAChangeBetweenRegisteringAndReadingIsToldOnce(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"over HTTP 1.1": false, "over HTTP 2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, slowTiming(), time.Minute)
			reads := 0
			e.row.reading = func() {
				// The first read is before the stream is registered.
				if reads++; reads == 2 {
					e.move(verification.Processing)
				}
			}
			stream, err := overHTTP(t, e.serve(t), http2).WatchStatus(t.Context(), &verigatev1.WatchStatusRequest{Id: e.id()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = stream.Close() })
			if u, err := stream.Receive(); err != nil || u.GetVersion() != 2 {
				t.Fatalf("the first message is %v, %v", u, err)
			}
			eventually(t, "it is parked", func() bool { return e.service.Lot.Count() == 1 })
			e.move(verification.InReview)
			if u, err := stream.Receive(); err != nil || u.GetVersion() != 3 || u.GetKind() != verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_UPDATE {
				t.Errorf("the next is %v, %v", u, err)
			}
		})
	}
}

func TestALostDatabaseEndsNoOpenStream(t *testing.T) {
	t.Parallel()
	e := newEdge(t, slowTiming(), time.Minute)
	stream, err := e.inProcess().WatchStatus(t.Context(), &verigatev1.WatchStatusRequest{Id: e.id()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	if _, err := stream.Receive(); err != nil {
		t.Fatal(err)
	}
	e.row.fail(verification.NewError(verification.KindUnavailable, "DATABASE_UNAVAILABLE", "retry"))
	e.move(verification.Processing)
	if u, err := stream.Receive(); err != nil || u.GetVersion() != 2 {
		t.Errorf("what this node did is told as %v, %v; want it without a read", u, err)
	}
	// What another node did has to be read, and is as soon as it can be.
	other := e.row.set(verification.Approved)
	e.hub.Hint(other.ID, other.Version)
	eventually(t, "the row is asked for in vain", func() bool { return e.row.failures() > 0 })
	e.row.fail(nil)
	if u, err := stream.Receive(); err != nil || u.GetVersion() != 3 || !u.GetTerminal() {
		t.Errorf("what another did is told as %v, %v", u, err)
	}
}

func TestADrainingNodeSendsDrainToNewStreamsToo(t *testing.T) {
	t.Parallel()
	e := newEdge(t, slowTiming(), time.Minute)
	close(e.drain)
	stream, err := e.inProcess().WatchStatus(t.Context(), &verigatev1.WatchStatusRequest{Id: e.id()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	var kinds []verigatev1.StatusUpdateKind
	for u, err := stream.Receive(); ; u, err = stream.Receive() {
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, u.GetKind())
	}
	want := []verigatev1.StatusUpdateKind{
		verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_SNAPSHOT, verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_DRAIN,
	}
	if len(kinds) != 2 || kinds[0] != want[0] || kinds[1] != want[1] {
		t.Errorf("the stream said %v, want %v", kinds, want)
	}
}

func TestHeartbeatsVaryByAFifth(t *testing.T) {
	t.Parallel()
	const beat = 50 * time.Millisecond
	e := newEdge(t, park.Timing{Heartbeat: beat, MaxAge: time.Hour}, time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	stream, err := e.inProcess().WatchStatus(ctx, &verigatev1.WatchStatusRequest{Id: e.id()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	if _, err := stream.Receive(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	const beats = 5
	for range beats {
		if _, err := stream.Receive(); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < beats*beat*8/10-beat/5 {
		t.Errorf("%d heartbeats of %v took only %v", beats, beat, took)
	}
}
