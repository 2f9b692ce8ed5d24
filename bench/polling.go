package bench

import (
	"context"
	"time"

	"github.com/verigate/verigate/bench/crowd"
)

// polling measures the same as a round, for clients that ask once a second.
func (s *session) polling(ctx context.Context, stage *toldStage, plan toldPlan, rate float64) ([]time.Duration, error) {
	sc := *stage.gateway
	sc.watched, sc.next = stage.polled, 0
	pollers, err := crowd.Poll(ctx, crowd.Watchers{Address: sc.watch, Set: sc.watched, Count: plan.polled}, s.secrets, time.Second)
	if err != nil {
		return nil, err
	}
	_, sent, err := sc.send(ctx, plan.polled, plan.duration/2, rate)
	stage.gateway.nextBackground = sc.nextBackground
	if err != nil || int64(len(sent)) < plan.polled {
		pollers.Stop()
		return nil, err
	}
	told, err := pollers.Wait(toldPatience)
	if err != nil {
		return nil, err
	}
	times := make([]time.Duration, 0, len(told))
	for _, one := range told {
		times = append(times, time.Duration(one.At-sent[one.Row].UnixNano()))
	}
	return times, nil
}
