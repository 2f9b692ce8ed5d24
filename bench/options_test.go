package bench_test

import (
	"strings"
	"testing"

	"github.com/verigate/verigate/bench"
)

func TestASizeThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][]int64{{0}, {10, -1}} {
		_, err := bench.Run(t.Context(), bench.Options{Only: []string{"growth"}, Sizes: sizes})
		if err == nil || !strings.Contains(err.Error(), "--sizes") {
			t.Errorf("%v: got %v", sizes, err)
		}
	}
}

func TestAnUnknownTableIsNamedWithThoseThatAre(t *testing.T) {
	t.Parallel()
	_, err := bench.Run(t.Context(), bench.Options{Only: []string{"ingest", "ingets"}})
	if err == nil || !strings.Contains(err.Error(), `"ingets"`) || !strings.Contains(err.Error(), strings.Join(bench.Names(), ", ")) {
		t.Errorf("got %v", err)
	}
}
