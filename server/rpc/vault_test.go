package rpc_test

import (
	"context"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/verification"
)

// vault keeps API keys and the audit log in memory.
type vault struct {
	mu sync.Mutex
	// keys are oldest first, entries too.
	keys    []*access.Key
	entries []*verification.AuditEntry
	// err is what every call returns, if set.
	err error
}

var (
	_ access.KeyStore   = (*vault)(nil)
	_ access.AdminStore = (*vault)(nil)
	_ rpc.Auditor       = (*vault)(nil)
)

// fail makes every call fail.
func (s *vault) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Key implements access.KeyStore.
func (s *vault) Key(_ context.Context, id string) (*access.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if at := slices.IndexFunc(s.keys, func(k *access.Key) bool { return k.ID == id }); at >= 0 {
		return new(*s.keys[at]), nil
	}
	return nil, verification.ErrNotFound
}

// AddKey implements access.AdminStore.
func (s *vault) AddKey(_ context.Context, k *access.Key, entry *verification.AuditEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.keys, s.entries = append(s.keys, new(*k)), append(s.entries, entry)
	}
	return s.err
}

// KeysOf implements access.AdminStore.
func (s *vault) KeysOf(_ context.Context, scope verification.Scope) ([]*access.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*access.Key
	for _, k := range s.keys {
		if k.Scope == scope {
			found = append(found, new(*k))
		}
	}
	return found, s.err
}

// ChangeKey implements access.AdminStore.
func (s *vault) ChangeKey(_ context.Context, scope verification.Scope, id string, change func(*access.Key) (*access.Key, *verification.AuditEntry, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	at := slices.IndexFunc(s.keys, func(k *access.Key) bool { return k.ID == id && k.Scope == scope })
	if at < 0 {
		return access.ErrKeyNotFound
	}
	changed := new(*s.keys[at])
	successor, entry, err := change(changed)
	if err != nil || entry == nil {
		return err
	}
	s.keys[at] = new(*changed)
	if successor != nil {
		s.keys = append(s.keys, new(*successor))
	}
	s.entries = append(s.entries, entry)
	return nil
}

// add keeps an entry that is not about a key.
func (s *vault) add(e *verification.AuditEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(s.entries, e)
}

// AuditEntries implements rpc.Auditor.
func (s *vault) AuditEntries(_ context.Context, q verification.AuditQuery) ([]*verification.AuditEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*verification.AuditEntry
	reached := q.Before == uuid.Nil
	for _, e := range slices.Backward(s.entries) {
		chosen := (e.Scope == q.Scope || e.Scope == verification.Scope{}) &&
			(q.Action == "" || string(e.Action) == q.Action) && (q.Target == "" || e.Target == q.Target)
		if reached && chosen && len(found) < q.Limit {
			found = append(found, e)
		}
		reached = reached || e.ID == q.Before
	}
	return found, s.err
}
