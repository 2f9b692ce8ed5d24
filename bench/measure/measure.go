// Package measure owns the arithmetic of the benchmark: percentiles of single
// times, and medians with their spread of rounds.
//
//	times of one round ─► Percentile
//	one value a round  ─► Over ─► Summary (median, least, most)
//
// It must not import anything of this project.
package measure

import (
	"math"
	"slices"
	"time"
)

// The percentiles that the tables show.
const (
	P50  = 0.50
	P99  = 0.99
	P999 = 0.999
)

// Percentile returns the smallest of times that at least the share p of them do
// not exceed (the nearest-rank definition); zero if there are none. It sorts
// times.
func Percentile(times []time.Duration, p float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	rank := int(math.Ceil(p * float64(len(times))))
	return times[min(max(rank, 1), len(times))-1]
}

// Mean returns the arithmetic mean of times; zero if there are none.
func Mean(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	var sum time.Duration
	for _, t := range times {
		sum += t
	}
	return sum / time.Duration(len(times))
}

// Milliseconds returns d in milliseconds.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Summary is what several rounds said.
type Summary struct {
	// Median is the middle value, the mean of the two middle ones of an even
	// number.
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
	// Rounds is how many values there were.
	Rounds int `json:"rounds"`
}

// Over summarises one value a round. Without any it is the zero Summary.
func Over(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Summary{Median: median, Least: sorted[0], Most: sorted[len(sorted)-1], Rounds: len(sorted)}
}

// Ratios divides each round's value by the reference of the same round. A round
// whose reference is zero has no ratio and is left out.
func Ratios(values, references []float64) []float64 {
	ratios := make([]float64, 0, len(values))
	for i := range min(len(values), len(references)) {
		if references[i] != 0 {
			ratios = append(ratios, values[i]/references[i])
		}
	}
	return ratios
}
