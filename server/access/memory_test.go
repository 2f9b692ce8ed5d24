package access_test

import (
	"context"
	"slices"
	"sync"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
)

// vault keeps API keys and the audit log in memory, and counts look-ups.
type vault struct {
	mu sync.Mutex
	// keys are oldest first.
	keys    []*access.Key
	entries []*verification.AuditEntry
	lookups int
	// err is what every call returns, if set.
	err error
}

var (
	_ access.KeyStore   = (*vault)(nil)
	_ access.AdminStore = (*vault)(nil)
)

// Key implements access.KeyStore.
func (s *vault) Key(_ context.Context, id string) (*access.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookups++
	if s.err != nil {
		return nil, s.err
	}
	for _, k := range s.keys {
		if k.ID == id {
			return copyOf(k), nil
		}
	}
	return nil, verification.ErrNotFound
}

// AddKey implements access.AdminStore.
func (s *vault) AddKey(_ context.Context, k *access.Key, entry *verification.AuditEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.keys, s.entries = append(s.keys, copyOf(k)), append(s.entries, entry)
	return nil
}

// KeysOf implements access.AdminStore.
func (s *vault) KeysOf(_ context.Context, scope verification.Scope) ([]*access.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*access.Key
	for _, k := range s.keys {
		if k.Scope == scope {
			found = append(found, copyOf(k))
		}
	}
	return found, s.err
}

// ChangeKey implements access.AdminStore. Like a database that asks for a retry
// it runs change twice, and stores what came of the second.
func (s *vault) ChangeKey(_ context.Context, scope verification.Scope, id string, change func(*access.Key) (*access.Key, *verification.AuditEntry, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.keys, func(k *access.Key) bool { return k.ID == id && k.Scope == scope })
	if s.err != nil || at < 0 {
		if s.err != nil {
			return s.err
		}
		return access.ErrKeyNotFound
	}
	if _, _, err := change(copyOf(s.keys[at])); err != nil {
		return err
	}
	changed := copyOf(s.keys[at])
	successor, entry, err := change(changed)
	if err != nil || entry == nil {
		return err
	}
	s.keys[at] = copyOf(changed)
	if successor != nil {
		s.keys = append(s.keys, copyOf(successor))
	}
	s.entries = append(s.entries, entry)
	return nil
}

// stored is a key as it is kept; nil if it is not.
func (s *vault) stored(id string) *access.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.ID == id {
			return copyOf(k)
		}
	}
	return nil
}

func copyOf(k *access.Key) *access.Key {
	c := *k
	return &c
}

// absent is what a store returns whose database does not answer.
func absent() error {
	return verification.NewError(verification.KindUnavailable, "DATABASE_UNAVAILABLE", "retry")
}
