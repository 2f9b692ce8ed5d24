package rig

import (
	"slices"
	"testing"
)

func TestPostgresGetsAQuarterOfTheMemoryWithinBounds(t *testing.T) {
	t.Parallel()
	const gibibyte = 1 << 30
	for memory, want := range map[int64][]string{
		0:              {"shared_buffers=256MB", "effective_cache_size=256MB"},
		8 * gibibyte:   {"shared_buffers=2048MB", "effective_cache_size=6144MB"},
		256 * gibibyte: {"shared_buffers=8192MB", "effective_cache_size=253952MB"},
	} {
		if got := sharesOf(memory); !slices.Equal(got, want) {
			t.Errorf("of %d bytes it gets %v, want %v", memory, got, want)
		}
	}
}
