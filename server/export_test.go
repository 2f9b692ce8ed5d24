package server

import "net/http"

// Readiness is what serves /readyz. The listener closes when a drain begins, so
// that nobody outside can ask any more.
func (s *Server) Readiness() http.Handler { return s.readyz }
