package server

import (
	"context"
	"sync"
	"time"

	"github.com/verigate/verigate/server/verification"
)

const (
	// auditInterval is how soon an entry is written that the database did not
	// take at first.
	auditInterval = 2 * time.Second
	// maxUnwritten bounds what waits: a process reloads a few times a day.
	maxUnwritten = 1000
)

// auditBacklog is what the process did while the database was away.
type auditBacklog struct {
	mu      sync.Mutex
	entries []*verification.AuditEntry
}

// audit records what the process itself did, later if it cannot be now.
func (s *Server) audit(ctx context.Context, action verification.AuditAction, details map[string]string) {
	by := verification.Operator{Actor: "signal"}
	if action == verification.AuditStart {
		by.Actor = "start"
	}
	entry, err := verification.NewAuditEntry(verification.Scope{}, by, action, "", details, time.Now())
	if err != nil {
		s.log.ErrorContext(ctx, "could not make an entry of the audit log", "action", action, "error", err)
		return
	}
	s.unwritten.mu.Lock()
	if len(s.unwritten.entries) < maxUnwritten {
		s.unwritten.entries = append(s.unwritten.entries, entry)
	}
	s.unwritten.mu.Unlock()
	if err := s.writeAudit(ctx); err != nil {
		s.log.ErrorContext(ctx, "could not write to the audit log; it will be tried again", "action", action, "error", err)
	}
}

// writeAudit writes what waits, oldest first.
func (s *Server) writeAudit(ctx context.Context) error {
	s.unwritten.mu.Lock()
	defer s.unwritten.mu.Unlock()
	for len(s.unwritten.entries) > 0 {
		if err := s.store.AddAudit(ctx, s.unwritten.entries[0]); err != nil {
			return err
		}
		s.unwritten.entries = s.unwritten.entries[1:]
	}
	return nil
}
