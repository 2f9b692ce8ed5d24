package server

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strconv"
	"strings"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/verification"
)

// Reload puts another configuration in force: connections, flows, origins,
// issuers, limits, keys, callback secrets, trusted proxies and retention. The old one stays if
// the new one cannot be opened. Listeners, the database, the bus and stream times take
// effect with the next start; certificates are read again by themselves.
func (s *Server) Reload(cfg *config.Config) error {
	next, err := s.open(cfg)
	if err != nil {
		return err
	}
	if before := s.catalog.current.Swap(next); before != nil && before.http != next.http {
		before.http.CloseIdleConnections()
	}
	if s.metrics != nil {
		s.metrics.Expect(s.catalog.Names())
	}
	return nil
}

// ReloadFrom loads a configuration and puts it in force. Either way it is in the
// audit log: who may change the file may change the gateway.
func (s *Server) ReloadFrom(ctx context.Context, load func() (*config.Config, error)) error {
	cfg, err := load()
	if err == nil {
		err = s.Reload(cfg)
	}
	if err != nil {
		problems := 1
		if listed, ok := errors.AsType[config.Errors](err); ok {
			problems = len(listed)
		}
		s.log.ErrorContext(ctx, "the configuration was not reloaded; the old one stays", "error", err)
		s.audit(ctx, verification.AuditReloadError, map[string]string{"problems": strconv.Itoa(problems)})
		return err
	}
	for _, p := range s.ports {
		if p.certificate == nil {
			continue
		}
		if err := p.certificate.Reload(); err != nil {
			s.log.WarnContext(ctx, "the changed TLS certificate cannot be used; the previous one stays in force", "error", err)
		}
	}
	restart := s.NeedsRestart(cfg)
	level := slog.LevelInfo
	if len(restart) > 0 {
		level = slog.LevelWarn
	}
	s.log.Log(ctx, level, "the configuration was reloaded", "needs_a_restart", restart)
	s.audit(ctx, verification.AuditReload, map[string]string{
		"configuration": cfg.Fingerprint, "needs_a_restart": strings.Join(restart, " "),
	})
	s.warnOfMissingKeys(ctx)
	return nil
}

// NeedsRestart names the keys whose new values take effect with the next start
// only.
func (s *Server) NeedsRestart(cfg *config.Config) []string {
	now, keys := s.options.Config, []string{}
	for _, setting := range []struct {
		key     string
		changed bool
	}{
		{"public_url", cfg.PublicURL != now.PublicURL},
		{"webhooks_url", cfg.WebhooksURL != now.WebhooksURL},
		{"listeners", cfg.Listeners != now.Listeners},
		{"database_url", cfg.DatabaseURL != now.DatabaseURL},
		{"watch", cfg.Watch != now.Watch},
		{"bus", !reflect.DeepEqual(cfg.Bus, now.Bus)},
		{"drain", cfg.Drain != now.Drain},
	} {
		if setting.changed {
			keys = append(keys, setting.key)
		}
	}
	return keys
}
