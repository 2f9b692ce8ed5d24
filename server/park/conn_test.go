package park_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verigate/verigate/server/park"
)

func TestTheBeatsOfALineLeaveTogether(t *testing.T) {
	t.Parallel()
	const streams, many = 60, 1200
	site := newSite(t, park.Timing{Heartbeat: 100 * time.Millisecond, MaxAge: time.Hour})
	w := wire{name: "Connect", http2: true}
	beat := frame(t, w, "beat")
	var beats atomic.Int64
	site.live = func(context.Context) *script {
		live := newScript()
		stream := sync.OnceValue(func() *park.Stream { return <-live.begun })
		live.heartbeat = func(context.Context) error {
			beats.Add(1)
			return stream().Send(beat)
		}
		return live
	}
	open := site.line(t, w)
	for range streams {
		open(t.Context())
	}
	began, written := beats.Load(), site.writes.Load()
	eventually(t, "they beat", func() bool { return beats.Load() >= began+many })
	if writes, all := site.writes.Load()-written, beats.Load()-began; writes*3 > all {
		t.Errorf("%d writes for %d beats", writes, all)
	}
}
