package measure_test

import (
	"slices"
	"testing"
	"time"

	"github.com/verigate/verigate/bench/measure"
)

func TestPercentileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 0, 100)
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i)) // in no helpful order
	}
	for _, c := range []struct {
		times []time.Duration
		share float64
		want  time.Duration
	}{
		{nil, measure.P50, 0},
		{[]time.Duration{7}, measure.P999, 7},
		{[]time.Duration{3, 1, 2}, measure.P50, 2},
		{hundred, measure.P50, 50},
		{hundred, measure.P99, 99},
		{hundred, measure.P999, 100},
	} {
		if got := measure.Percentile(slices.Clone(c.times), c.share); got != c.want {
			t.Errorf("the %v percentile of %d times is %d, want %d", c.share, len(c.times), got, c.want)
		}
	}
}

func TestOverTakesTheMiddleAndTheEnds(t *testing.T) {
	t.Parallel()
	if got, want := measure.Over([]float64{9, 1, 4}), (measure.Summary{Median: 4, Least: 1, Most: 9, Rounds: 3}); got != want {
		t.Errorf("three rounds: got %+v, want %+v", got, want)
	}
	if got, want := measure.Over([]float64{2, 1}), (measure.Summary{Median: 1.5, Least: 1, Most: 2, Rounds: 2}); got != want {
		t.Errorf("two rounds: got %+v, want %+v", got, want)
	}
	if got := measure.Over(nil); got != (measure.Summary{}) {
		t.Errorf("no round: got %+v", got)
	}
}

func TestRatiosPairTheRounds(t *testing.T) {
	t.Parallel()
	got := measure.Ratios([]float64{10, 30, 5}, []float64{5, 0, 10})
	if !slices.Equal(got, []float64{2, 0.5}) {
		t.Errorf("got %v: each round has its own reference, and none is divided by nothing", got)
	}
}
