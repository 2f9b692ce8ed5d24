package config

import (
	"net"

	"github.com/jackc/pgx/v5"
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
	dsn, err := pgx.ParseConfig(c.DatabaseURL.Reveal())
	if err == nil && !isLoopback(dsn.Host) && len(dsn.Host) > 0 && dsn.Host[0] != '/' &&
		(dsn.TLSConfig == nil || dsn.TLSConfig.InsecureSkipVerify) {
		warnings = append(warnings, "database_url reaches another machine without checking its certificate: add sslmode=verify-full")
	}
	return warnings
}
