package server

import (
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
