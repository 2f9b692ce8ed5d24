package config

import (
	"net"
	"net/url"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/secret"
)

// Warnings says what is allowed but seldom meant, one sentence each. It holds no
// secret.
func (c *Config) Warnings() []string {
	var warnings []string
	for _, l := range []struct {
		path string
		at   Listener
	}{{"listeners.public", c.Listeners.Public}, {"listeners.webhooks", c.Listeners.Webhooks}, {"listeners.operator", c.Listeners.Operator}} {
		host, _, err := net.SplitHostPort(l.at.Address)
		if err == nil && !l.at.TLS.Enabled() && !isLoopback(host) {
			warnings = append(warnings, l.path+".address is reachable from other machines and has no tls: "+
				"credentials travel in the clear unless a proxy on the same host ends TLS")
		}
	}
	if unchecked(c.DatabaseURL) {
		warnings = append(warnings, "database_url reaches another machine without checking its certificate: add sslmode=verify-full")
	}
	return append(warnings, c.Bus.warnings()...)
}

// unchecked reports whether Postgres is on another machine that could be anybody.
func unchecked(address secret.Value) bool {
	dsn, err := pgx.ParseConfig(address.Reveal())
	return err == nil && !isLoopback(dsn.Host) && len(dsn.Host) > 0 && dsn.Host[0] != '/' &&
		(dsn.TLSConfig == nil || dsn.TLSConfig.InsecureSkipVerify)
}

func (b Bus) warnings() []string {
	var warnings []string
	if !b.DatabaseURL.Empty() && unchecked(b.DatabaseURL) {
		warnings = append(warnings, "bus.postgres.database_url reaches another machine without checking its certificate: add sslmode=verify-full")
	}
	for _, raw := range b.NATS.Servers {
		if u, err := url.Parse(raw); err == nil && u.Scheme == schemeNATS && !isLoopback(u.Hostname()) {
			warnings = append(warnings, "bus reaches NATS on another machine without TLS: "+
				"whoever listens in between learns how to sign in; write tls:// in its address")
			break
		}
	}
	return warnings
}
