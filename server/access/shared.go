package access

import (
	"context"
	"errors"
	"sync"
	"time"
)

// SharedKeys is a KeyStore in front of another that has those who ask for one key
// at the same time share a look-up. Nobody is told what was read before it asked:
// whoever comes while a look-up runs waits for the next one, together with all
// others that do. So thousands of streams of one key that beat together cost two
// look-ups, and a revoked key is refused as soon as without it. It is safe for
// concurrent use.
type SharedKeys struct {
	Keys KeyStore

	mu sync.Mutex
	// turns are the look-ups of each key: one that runs, and one that comes next.
	turns map[string]*turn
}

// turn is a look-up that runs, and who waits for the next one.
type turn struct {
	running *look
	next    *look
}

// lookTimeout bounds a look-up that several wait for.
const lookTimeout = 5 * time.Second

// errNoLook is what the others get when a look-up panics.
var errNoLook = errors.New("the look-up of an API key broke off")

// look is one look-up. Its answer is there when done is closed.
type look struct {
	done chan struct{}
	key  *Key
	err  error
}

var _ KeyStore = (*SharedKeys)(nil)

// Key implements KeyStore. Nobody may change the key that it returns.
func (s *SharedKeys) Key(ctx context.Context, id string) (*Key, error) {
	mine, before, leads := s.join(id)
	if leads {
		if before != nil {
			<-before.done
		}
		s.look(ctx, id, mine)
	}
	select {
	case <-mine.done:
		return mine.key, mine.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join finds the look-up that answers a question asked now. Whoever leads it
// makes it, when the one before is done.
func (s *SharedKeys) join(id string) (mine, before *look, leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turns == nil {
		s.turns = make(map[string]*turn)
	}
	t := s.turns[id]
	switch {
	case t == nil:
		mine = &look{done: make(chan struct{})}
		s.turns[id] = &turn{running: mine}
		return mine, nil, true
	case t.next == nil:
		t.next = &look{done: make(chan struct{})}
		return t.next, t.running, true
	default:
		return t.next, nil, false
	}
}

// look makes a look-up. Others wait for it, so it outlives the call that leads.
func (s *SharedKeys) look(ctx context.Context, id string, l *look) {
	// In case that it breaks off.
	l.err = errNoLook
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		close(l.done)
		// The one after this runs now.
		if t := s.turns[id]; t.next != nil {
			t.running, t.next = t.next, nil
		} else {
			delete(s.turns, id)
		}
	}()
	l.key, l.err = s.Keys.Key(bounded, id)
}
