package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/uuid"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

const (
	// heartbeat is the gateway's in these tests.
	heartbeat = time.Second
	// beats are three minutes of a real stream.
	beats = 12

	snapshot = verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_SNAPSHOT
	update   = verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_UPDATE
	beat     = verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_HEARTBEAT
	drain    = verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_DRAIN
)

// stream is one open WatchStatus.
type stream struct {
	in     verigatev1connect.VerificationServiceWatchStatusClientStream
	cancel context.CancelFunc
}

// start begins a verification through an API.
func start(t *testing.T, api verigatev1connect.VerificationServiceClient, flow string) string {
	t.Helper()
	started, err := api.StartVerification(t.Context(), &verigatev1.StartVerificationRequest{Flow: flow, Subject: "s-" + uuid.NewString()})
	if err != nil {
		t.Fatalf("StartVerification: %v", err)
	}
	return started.GetVerification().GetId()
}

// watch opens a stream and takes its first message, which must be the snapshot.
func watch(t *testing.T, api verigatev1connect.VerificationServiceClient, id string) (*stream, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	in, err := api.WatchStatus(ctx, &verigatev1.WatchStatusRequest{Id: id})
	if err != nil {
		return nil, fmt.Errorf("WatchStatus: %w", err)
	}
	t.Cleanup(func() { _ = in.Close() })
	s := &stream{in: in, cancel: cancel}
	return s, s.want(snapshot)
}

// next is the next message. A proxy that holds it back is given up after
// patience.
func (s *stream) next() (*verigatev1.StatusUpdate, error) {
	late := time.AfterFunc(patience, s.cancel)
	defer late.Stop()
	return s.in.Receive()
}

// want takes the next message, which must be of this kind.
func (s *stream) want(kind verigatev1.StatusUpdateKind) error {
	message, err := s.next()
	if err != nil {
		return fmt.Errorf("no %s: %w", kind, err)
	}
	if message.GetKind() != kind {
		return fmt.Errorf("got %v, want %s", message, kind)
	}
	return nil
}

// hear takes so many heartbeats. Two that come together were held back: the
// gateway leaves at least 0.8 of its heartbeat between them. A few may, on a
// machine that was busy elsewhere.
func (s *stream) hear(n int) error {
	together, last := 0, time.Time{}
	for range n {
		if err := s.want(beat); err != nil {
			return err
		}
		now := time.Now()
		if now.Sub(last) < heartbeat/4 {
			together++
		}
		last = now
	}
	if together > n/2 {
		return fmt.Errorf("%d of %d heartbeats came together with the one before", together, n)
	}
	return nil
}

// ends takes the update to the end of the verification, and the end of the
// stream.
func (s *stream) ends() error {
	message, err := s.next()
	if err != nil {
		return err
	}
	// A heartbeat may have been under way.
	if message.GetKind() == beat {
		return s.ends()
	}
	if message.GetKind() != update || !message.GetTerminal() {
		return fmt.Errorf("got %v, want the terminal update", message)
	}
	return s.over()
}

// drained wants the message of a node that stops, and the end of the stream.
func (s *stream) drained() error {
	message, err := s.next()
	if err != nil {
		return fmt.Errorf("no drain message: %w", err)
	}
	if message.GetKind() == beat {
		return s.drained()
	}
	if message.GetKind() != drain || message.GetReconnectAfter() == nil {
		return fmt.Errorf("got %v, want the drain message", message)
	}
	return s.over()
}

// over wants the end of the stream, and a good one.
func (s *stream) over() error {
	if message, err := s.next(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("after the last message came %v, %w", message, err)
	}
	return nil
}

// follow is a whole watch: the state at once, three minutes' worth of
// heartbeats, then the end. The verification ends only after the heartbeats
// have arrived, so a proxy that holds them back never gets to see it.
func follow(t *testing.T, s *site, w wire) error {
	t.Helper()
	api := s.api(t, w, s.key)
	id := start(t, api, "open")
	watched, err := watch(t, api, id)
	if err != nil {
		return err
	}
	if err := watched.hear(beats); err != nil {
		return err
	}
	if _, err := api.CancelVerification(t.Context(), &verigatev1.CancelVerificationRequest{Id: id, Reason: "test"}); err != nil {
		return fmt.Errorf("CancelVerification: %w", err)
	}
	return watched.ends()
}
