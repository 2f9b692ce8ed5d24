package access_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/verigate/verigate/server/access"
)

const longPatience = 30 * time.Second

// slowKeys is a store whose look-ups a test lets through one by one.
type slowKeys struct {
	begun chan string
	pass  chan struct{}

	mu    sync.Mutex
	named string
	err   error
	panic bool
}

func newSlowKeys() *slowKeys {
	return &slowKeys{begun: make(chan string, 100), pass: make(chan struct{}, 100)}
}

// rename changes what the next look-ups find.
func (s *slowKeys) rename(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named = name
}

func (s *slowKeys) Key(_ context.Context, id string) (*access.Key, error) {
	s.mu.Lock()
	found, err, broken := &access.Key{ID: id, Name: s.named}, s.err, s.panic
	s.mu.Unlock()
	s.begun <- id
	<-s.pass
	if broken {
		panic("marked")
	}
	return found, err
}

// ask asks for a key and returns where the answer is told.
func ask(ctx context.Context, s *access.SharedKeys, id string) <-chan string {
	answer := make(chan string, 1)
	go func() {
		defer func() {
			if recover() != nil {
				answer <- "panic"
			}
		}()
		key, err := s.Key(ctx, id)
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- key.Name
	}()
	return answer
}

func await[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(longPatience):
		t.Fatalf("waited in vain: %s", what)
		panic("unreachable")
	}
}

func TestWhoAsksDuringALookUpSharesTheNextOne(t *testing.T) {
	t.Parallel()
	const many = 50
	store := newSlowKeys()
	shared := &access.SharedKeys{Keys: store}
	store.rename("before")
	first := ask(t.Context(), shared, "a")
	await(t, "the first look-up", store.begun)
	// What changes from here on is told to all who ask from here on.
	store.rename("after")
	var others []<-chan string
	for range many {
		others = append(others, ask(t.Context(), shared, "a"))
	}
	// Another key waits for nobody.
	other := ask(t.Context(), shared, "b")
	if id := await(t, "the look-up of another key", store.begun); id != "b" {
		t.Errorf("the key %s is looked up again", id)
	}
	close(store.pass)
	if got := await(t, "the first answer", first); got != "before" {
		t.Errorf("the first is told %q", got)
	}
	for _, answer := range others {
		if got := await(t, "the others' answer", answer); got != "after" {
			t.Errorf("who asked after the change is told %q", got)
		}
	}
	await(t, "the other key's answer", other)
}

func TestOneOfAllWhoAskDuringALookUpMakesTheNext(t *testing.T) {
	t.Parallel()
	store := newSlowKeys()
	shared := &access.SharedKeys{Keys: store}
	first := ask(t.Context(), shared, "a")
	await(t, "the first look-up", store.begun)
	leads := 0
	for range 50 {
		if shared.Leads("a") {
			leads++
		}
	}
	if leads != 1 {
		t.Errorf("%d of 50 would look it up", leads)
	}
	close(store.pass)
	await(t, "the first answer", first)
}

func TestAnEndedCallWaitsForNoLookUpAndEndsNone(t *testing.T) {
	t.Parallel()
	store := newSlowKeys()
	shared := &access.SharedKeys{Keys: store}
	ctx, hangUp := context.WithCancel(t.Context())
	lead := ask(ctx, shared, "a")
	await(t, "the look-up", store.begun)
	stays := ask(t.Context(), shared, "a")
	hangUp()
	gone := ask(ctx, shared, "a")
	store.pass <- struct{}{}
	store.pass <- struct{}{}
	store.pass <- struct{}{}
	await(t, "the lead", lead)
	await(t, "who hung up", gone)
	if got := await(t, "who stays", stays); got != "" {
		t.Errorf("who stays is told %q", got)
	}
}

func TestALookUpThatFailsOrBreaksOffIsToldAndTheNextIsMade(t *testing.T) {
	t.Parallel()
	store := newSlowKeys()
	shared := &access.SharedKeys{Keys: store}
	close(store.pass)
	store.err = errors.New("away")
	if got := await(t, "the failure", ask(t.Context(), shared, "a")); got != "away" {
		t.Errorf("told %q", got)
	}
	store.err, store.panic = nil, true
	if got := await(t, "the panic", ask(t.Context(), shared, "a")); got != "panic" {
		t.Errorf("told %q", got)
	}
	store.panic = false
	store.rename("good")
	if got := await(t, "the next", ask(t.Context(), shared, "a")); got != "good" {
		t.Errorf("told %q", got)
	}
}
