package rpc_test

import (
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/verigate/verigate/server/verification"
)

// erase makes the row nobody's and tells of it; its version stays if it was over.
func (g *gateway) erase() {
	g.row.change(func(v *verification.Verification) {
		v.Subject, v.EraseTime = verification.ErasedSubject, time.Now()
	})
	v := g.row.now()
	g.hub.Wake(&v)
}

func TestAnErasedVerificationIsToldToNoEndUser(t *testing.T) {
	t.Parallel()
	t.Run("who watches it", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t, slowTiming())
		stream := g.watching(t, "user:alice")
		g.erase()
		u, err := stream.Receive()
		if u != nil {
			t.Errorf("told %v", u)
		}
		wantCode(t, "the stream", err, connect.CodeNotFound, "")
		eventually(t, "the watcher is gone", func() bool { return g.hub.Count() == 0 })
	})
	t.Run("who polls it", func(t *testing.T) {
		t.Parallel()
		g := newGateway(t, slowTiming())
		answered := g.polling(t, "user:alice", time.Minute)
		g.erase()
		wantCode(t, "the long poll", await(t, answered), connect.CodeNotFound, "")
	})
}
