package bench_test

import (
	"strings"
	"testing"

	"github.com/verigate/verigate/bench"
)

func TestAnUnknownTableIsNamedWithThoseThatAre(t *testing.T) {
	t.Parallel()
	_, err := bench.Run(t.Context(), bench.Options{Only: []string{"ingest", "ingets"}})
	if err == nil || !strings.Contains(err.Error(), `"ingets"`) || !strings.Contains(err.Error(), strings.Join(bench.Names(), ", ")) {
		t.Errorf("got %v", err)
	}
}
