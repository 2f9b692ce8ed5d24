package main

import (
	"context"

	verigate "github.com/verigate/verigate/clients/go"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// watched is what a watch has shown.
type watched struct {
	// version is the last one seen, last the message that carried it.
	version int64
	last    *verigatev1.StatusUpdate
}

// watchShowing watches until the result is there, ctx ends, whose cause it
// returns, or an error comes that no retry can heal.
func (c *caller) watchShowing(ctx context.Context, g *gateway, id string, f watchFlags, r *reporter) (watched, error) {
	seen := watched{version: f.afterVersion}
	request := &verigatev1.WatchStatusRequest{Id: id, AfterVersion: f.afterVersion, FollowRevisions: f.revisions}
	for m, err := range verigate.Watch(ctx, g, request, c.following(r)...) {
		if err != nil {
			return seen, err
		}
		if m.GetVersion() >= seen.version {
			seen.version, seen.last = m.GetVersion(), m
		}
		if err := r.message(m); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

// following are the options of what follows a stream here. A person who looks at
// a stream wants to see the stream: every message of it, and why there is none.
func (c *caller) following(r *reporter) []verigate.Option {
	return []verigate.Option{
		verigate.EveryMessage(), verigate.StreamsOnly(), verigate.WithClock(c.clock),
		verigate.OnLine(func(line verigate.Line) {
			if line.State == verigate.Waiting {
				r.lost(line.Reason, line.RetryIn)
			}
		}),
	}
}
