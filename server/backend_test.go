package server_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/encoding/protojson"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// backend receives callbacks, verifies each with the official library, and
// refuses some the first time.
type backend struct {
	t      *testing.T
	url    string
	secret string

	mu   sync.Mutex
	dice *rand.Rand
	// taken are the accepted messages of each address and verification, in order.
	taken map[lane][]*verigatev1.Event
	// times counts how often each was accepted, and channels to which address.
	times    map[string]int
	channels map[string]string
	refused  map[string]bool
}

// lane is what callbacks keep their order in.
type lane struct{ path, verification string }

func newBackend(t *testing.T, seed uint64) *backend {
	t.Helper()
	b := &backend{
		t: t, secret: "whsec_bWFya2VkLWNhbGxiYWNrLXNlY3JldC0zMi1ieXRlcyE=", dice: rand.New(rand.NewPCG(seed, 0)),
		taken: map[lane][]*verigatev1.Event{}, times: map[string]int{}, channels: map[string]string{}, refused: map[string]bool{},
	}
	server := httptest.NewServer(b)
	b.url = server.URL
	t.Cleanup(server.Close)
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	verifier, err := standardwebhooks.NewWebhook(b.secret)
	if err != nil {
		b.t.Error(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Error(err)
	}
	if err := verifier.Verify(body, r.Header); err != nil {
		b.t.Errorf("a callback does not verify: %v", err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	event := &verigatev1.Event{}
	if err := protojson.Unmarshal(body, event); err != nil || event.GetId() != r.Header.Get(standardwebhooks.HeaderWebhookID) {
		b.t.Errorf("a callback is %s: %v", body, err)
	}
	w.WriteHeader(b.take(r.URL.Path, event))
}

func (b *backend) take(path string, e *verigatev1.Event) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.refused[e.GetId()] && b.dice.IntN(50) == 0 {
		b.refused[e.GetId()] = true
		return http.StatusInternalServerError
	}
	b.times[e.GetId()]++
	b.channels[e.GetId()] = path
	l := lane{path, e.GetVerificationId()}
	b.taken[l] = append(b.taken[l], e)
	return http.StatusNoContent
}

// checkCallbacks waits until each event was taken, and checks that it was once,
// at the right address and in order.
func (w *world) checkCallbacks(recorded []*verigatev1.Event) {
	w.t.Helper()
	b := w.backend
	within(w.t, longPatience, "each transition was called back", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.times) >= len(recorded)
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range recorded {
		want := "/events"
		if e.GetTerminal() && !e.GetRevision() {
			want = "/decisions"
		}
		if b.times[e.GetId()] != 1 || b.channels[e.GetId()] != want {
			w.t.Errorf("%s (%v) was taken %d times at %s, want once at %s", e.GetId(), e.GetKind(), b.times[e.GetId()], b.channels[e.GetId()], want)
		}
	}
	for l, events := range b.taken {
		for i := 1; i < len(events); i++ {
			if events[i].GetVersion() <= events[i-1].GetVersion() {
				w.t.Errorf("%s heard version %d of %s after %d", l.path, events[i].GetVersion(), l.verification, events[i-1].GetVersion())
			}
		}
	}
	if len(b.refused) == 0 {
		w.t.Error("the backend refused nothing: retries were not tried")
	}
	w.t.Logf("%d events, %d of them refused once", len(recorded), len(b.refused))
}
