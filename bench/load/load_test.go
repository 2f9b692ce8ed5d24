package load_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verigate/verigate/bench/load"
)

// patience is how long a test waits on a busy machine.
const patience = 30 * time.Second

type fixed string

func (f fixed) Request(int64, time.Time) []byte { return []byte(f) }

func plan(t *testing.T, handler http.HandlerFunc) load.Plan {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")
	return load.Plan{
		Address: address, Connections: 4, Until: 1000, Duration: patience,
		NewSource: func() load.Source {
			return fixed("POST / HTTP/1.1\r\nHost: " + address + "\r\nContent-Length: 2\r\n\r\n{}")
		},
	}
}

func TestClosedSendsEachRowOnceAndCountsAnswers(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	p := plan(t, func(w http.ResponseWriter, _ *http.Request) {
		switch requests.Add(1) % 4 {
		case 0:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte("fine"))
		}
	})
	p.First = 200
	var mu sync.Mutex
	rows := map[int64]int{}
	p.Answered = func(n int64, _ time.Time) {
		mu.Lock()
		defer mu.Unlock()
		rows[n]++
	}
	outcome, err := load.Closed(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if !outcome.Starved || requests.Load() != 800 || outcome.Next != 1000 {
		t.Errorf("%d requests, next row %d, ran out: %t", requests.Load(), outcome.Next, outcome.Starved)
	}
	if outcome.Acknowledged != 400 || outcome.Codes[http.StatusServiceUnavailable] != 400 || outcome.WithoutRetryAfter != 200 || len(outcome.Times) != 400 {
		t.Errorf("%+v", outcome.Codes)
	}
	for n, times := range rows {
		if n < 200 || n >= 1000 || times != 1 {
			t.Errorf("row %d was acknowledged %d times", n, times)
		}
	}
}

func TestOpenCountsTheWaitForALine(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var requests atomic.Int64
	p := plan(t, func(http.ResponseWriter, *http.Request) {
		if requests.Add(1) == 1 {
			<-release
		}
	})
	const held = 300 * time.Millisecond
	p.Connections, p.Until, p.Rate = 1, 3, 1000
	timer := time.AfterFunc(held, func() { close(release) })
	defer timer.Stop()
	outcome, err := load.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if len(outcome.Times) != 3 || outcome.Unsent != 0 {
		t.Fatalf("%d answers, %d unsent", len(outcome.Times), outcome.Unsent)
	}
	for i, took := range outcome.Times {
		// All three were due within two milliseconds.
		if took < held/2 {
			t.Errorf("request %d took %s, although the line was held for %s", i, took, held)
		}
	}
}

func TestABrokenLineIsCountedAndOpenedAgain(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	p := plan(t, func(http.ResponseWriter, *http.Request) {
		if requests.Add(1) == 2 {
			panic(http.ErrAbortHandler)
		}
	})
	p.Connections, p.Until = 1, 4
	outcome, err := load.Closed(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if outcome.Broken != 1 || outcome.Acknowledged != 3 {
		t.Errorf("%d broken, %d acknowledged", outcome.Broken, outcome.Acknowledged)
	}
}
