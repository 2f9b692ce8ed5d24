package rpc_test

import (
	"context"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"google.golang.org/protobuf/types/known/durationpb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/park"
	"github.com/verigate/verigate/server/verification"
)

// endings are how a credential can end while its stream lasts, by what it is;
// each returns the credential and what ends it.
func endings() map[string]func(t *testing.T, g *gateway) (credential string, end func()) {
	return map[string]func(t *testing.T, g *gateway) (string, func()){
		"a revoked key": func(t *testing.T, g *gateway) (string, func()) {
			t.Helper()
			id, text := g.key(t, access.VerificationsRead)
			return text, func() {
				if _, err := g.admin.Revoke(t.Context(), scope(), id, verification.Operator{Actor: "signal"}); err != nil {
					t.Error(err)
				}
			}
		},
		"a rotated key": func(t *testing.T, g *gateway) (string, func()) {
			t.Helper()
			id, text := g.key(t, access.VerificationsRead)
			return text, func() {
				if _, err := g.admin.Rotate(t.Context(), scope(), id, 0, verification.Operator{Actor: "signal"}); err != nil {
					t.Error(err)
				}
			}
		},
		"a client token that ran out": func(t *testing.T, g *gateway) (string, func()) {
			t.Helper()
			return g.token(t), func() { g.forward(2 * time.Hour) }
		},
		"an end user's token that ran out": func(_ *testing.T, g *gateway) (string, func()) {
			return "user:alice", func() { g.forward(time.Hour) }
		},
	}
}

// watching opens a stream and takes its snapshot.
func (g *gateway) watching(t *testing.T, credential string) verigatev1connect.VerificationServiceWatchStatusClientStream {
	t.Helper()
	return g.follow(t, g.as(t, credential))
}

func (g *gateway) follow(t *testing.T, client verigatev1connect.VerificationServiceClient) verigatev1connect.VerificationServiceWatchStatusClientStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	stream, err := client.WatchStatus(ctx, &verigatev1.WatchStatusRequest{Id: g.id()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	if u, err := stream.Receive(); err != nil || u.GetVersion() != 1 {
		t.Fatalf("the snapshot is %v, %v", u, err)
	}
	return stream
}

func TestAStreamEndsWithItsCredentialAtTheNextHeartbeat(t *testing.T) {
	t.Parallel()
	for name, begin := range endings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, park.Timing{Heartbeat: 50 * time.Millisecond, MaxAge: time.Hour})
			credential, end := begin(t, g)
			// Without a network between, no more than one message is on its way.
			stream := g.follow(t, verigatev1connect.NewVerificationServiceClient(
				connect.NewClient(connectinprocess.New(g.api), authorized(credential))))
			if u, err := stream.Receive(); err != nil || u.GetKind() != verigatev1.StatusUpdateKind_STATUS_UPDATE_KIND_HEARTBEAT {
				t.Fatalf("while it is good: %v, %v", u, err)
			}
			end()
			_, err := stream.Receive()
			if err == nil {
				_, err = stream.Receive()
			}
			wantUnauthenticated(t, "the stream", err)
			eventually(t, "the watcher is gone", func() bool { return g.hub.Count() == 0 })
			if told := g.calls.reasons(); len(told) != 1 {
				t.Errorf("the operator is told %v", told)
			}
		})
	}
}

func TestAStreamTellsNothingNewToACredentialThatEnded(t *testing.T) {
	t.Parallel()
	for name, begin := range endings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, slowTiming())
			credential, end := begin(t, g)
			stream := g.watching(t, credential)
			end()
			g.move(verification.Approved)
			u, err := stream.Receive()
			if u != nil && u.GetVersion() > 1 {
				t.Errorf("it was told %v", u)
			}
			wantUnauthenticated(t, "the stream", err)
		})
	}
}

func TestALongPollTellsNothingToACredentialThatEnded(t *testing.T) {
	t.Parallel()
	for name, begin := range endings() {
		for how, wait := range map[string]time.Duration{"woken": time.Minute, "at the end of its time": time.Second} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				g := newGateway(t, slowTiming())
				credential, end := begin(t, g)
				answered := g.polling(t, credential, wait)
				end()
				if how == "woken" {
					g.move(verification.Approved)
				}
				wantUnauthenticated(t, "the long poll", await(t, answered))
			})
		}
	}
}

// polling starts a long poll and returns, when it waits, where its end is told.
func (g *gateway) polling(t *testing.T, credential string, wait time.Duration) <-chan error {
	t.Helper()
	read := make(chan struct{}, 10)
	g.row.watchReads(func() { read <- struct{}{} })
	client := g.as(t, credential)
	answered := make(chan error, 1)
	go func() {
		_, err := client.GetVerification(t.Context(), &verigatev1.GetVerificationRequest{
			Id: g.id(), AfterVersion: 1, Wait: durationpb.New(wait),
		})
		answered <- err
	}()
	// Once when the call begins, and once more when it is registered.
	for range 2 {
		select {
		case <-read:
		case err := <-answered:
			t.Fatalf("the long poll did not wait: %v", err)
		case <-time.After(patience):
			t.Fatal("the long poll does not look at the row")
		}
	}
	return answered
}

func await(t *testing.T, answered <-chan error) error {
	t.Helper()
	select {
	case err := <-answered:
		return err
	case <-time.After(patience):
		t.Fatal("the call does not end")
		return nil
	}
}

func TestADatabaseThatIsAwayEndsStreamsAsUnavailable(t *testing.T) {
	t.Parallel()
	away := verification.NewError(verification.KindUnavailable, "DATABASE_UNAVAILABLE", "retry")
	t.Run("at a heartbeat", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t, park.Timing{Heartbeat: 30 * time.Millisecond, MaxAge: time.Hour})
		_, text := g.key(t, access.VerificationsRead)
		stream := g.watching(t, text)
		g.vault.fail(away)
		var err error
		for err == nil {
			_, err = stream.Receive()
		}
		wantCode(t, "the stream", err, connect.CodeUnavailable, "retry")
		if told := g.calls.reasons(); len(told) != 0 {
			t.Errorf("the credential counts as refused: %v", told)
		}
	})
	t.Run("before an update", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t, slowTiming())
		_, text := g.key(t, access.VerificationsRead)
		stream := g.watching(t, text)
		g.vault.fail(away)
		g.move(verification.Approved)
		_, err := stream.Receive()
		wantCode(t, "the stream", err, connect.CodeUnavailable, "retry")
	})
	t.Run("during a long poll", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t, slowTiming())
		_, text := g.key(t, access.VerificationsRead)
		answered := g.polling(t, text, time.Minute)
		g.vault.fail(away)
		g.move(verification.Approved)
		wantCode(t, "the long poll", await(t, answered), connect.CodeUnavailable, "retry")
	})
}

func TestATokensStreamOutlivesADatabaseOfKeysThatIsAway(t *testing.T) {
	t.Parallel()
	g := newGateway(t, slowTiming())
	stream := g.watching(t, g.token(t))
	g.vault.fail(verification.NewError(verification.KindUnavailable, "DATABASE_UNAVAILABLE", "retry"))
	g.move(verification.Approved)
	if u, err := stream.Receive(); err != nil || !u.GetTerminal() {
		t.Errorf("got %v, %v; want the decision", u, err)
	}
}
