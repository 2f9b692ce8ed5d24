package rig

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPostgresGetsAQuarterOfTheMemoryWithinBounds(t *testing.T) {
	t.Parallel()
	const gibibyte = 1 << 30
	for memory, want := range map[int64][]string{
		gibibyte / 4:   {"shared_buffers=128MB", "effective_cache_size=128MB"},
		8 * gibibyte:   {"shared_buffers=2048MB", "effective_cache_size=6144MB"},
		256 * gibibyte: {"shared_buffers=8192MB", "effective_cache_size=253952MB"},
	} {
		if got := sharesOf(memory); !slices.Equal(got, want) {
			t.Errorf("of %d bytes it gets %v, want %v", memory, got, want)
		}
	}
}

func TestTheLimitOfAContainerIsLessThanTheMachineHas(t *testing.T) {
	t.Parallel()
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "told")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	machine, none := file("MemTotal:       16777216 kB\n"), filepath.Join(t.TempDir(), "none")
	for name, is := range map[string]struct{ got, want int64 }{
		"no limit":       {memory(machine, file("max\n"), none), 16 << 30},
		"a limit":        {memory(machine, file("max\n"), file("4294967296\n")), 4 << 30},
		"a larger limit": {memory(machine, file("9223372036854771712\n")), 16 << 30},
		"nothing told":   {memory(none, none), assumed},
	} {
		if is.got != is.want {
			t.Errorf("%s: %d, want %d", name, is.got, is.want)
		}
	}
}
