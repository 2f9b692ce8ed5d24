package server

import (
	"context"
	"net/http"
	"time"
)

// Readiness is what serves /readyz.
func (s *Server) Readiness() http.Handler { return s.readyz }

// ForgetMigrations makes the next probe ask the database again.
func (s *Server) ForgetMigrations() {
	s.readyz.mu.Lock()
	defer s.readyz.mu.Unlock()
	s.readyz.checkTime = time.Time{}
}

// Handler is what the first port serves, for a node that runs nothing beside
// it.
func (s *Server) Handler() http.Handler { return s.ports[0].server.Handler }

// Purge does now what the upkeep does every minute.
func (s *Server) Purge(ctx context.Context) error { return s.purge(ctx) }
