package providertest

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// journal is the log of one adapter, at every level.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// refuseText fails the test if any of the forbidden texts stands in text.
func refuseText(t *testing.T, where, text string, forbidden ...string) {
	t.Helper()
	for _, f := range forbidden {
		if f != "" && strings.Contains(text, f) {
			t.Errorf("%s repeats %q, which it must not: %s", where, f, text)
		}
	}
}
