package main

import (
	"net/url"
	"strings"

	"github.com/verigate/verigate/server/secret"
)

// isReference tells that a flag says where its value is, not what it is.
func isReference(text string) bool {
	return strings.HasPrefix(text, "${") || strings.HasPrefix(text, "file:")
}

// resolveFlag reads what a flag refers to.
func resolveFlag(flag, reference string, std streams) (secret.Value, error) {
	value, err := secret.Resolve(reference, std.Getenv)
	if err != nil {
		return secret.Value{}, usageError("%s: %v", flag, err)
	}
	return value, nil
}

// referredKey reads what --api-key refers to. A key itself is refused: it would
// show in the process list.
func (c *caller) referredKey() (secret.Value, error) {
	if !isReference(c.key) {
		return secret.Value{}, usageError("--api-key: write where the key is, ${NAME} or file:/path, not the key itself\n"+
			"A key on the command line shows in the process list; %s is the usual place.", envKey)
	}
	return resolveFlag("--api-key", c.key, c.std)
}

// databaseURL reads a --database-url. A password in it would show in the
// process list.
func databaseURL(text string, std streams) (secret.Value, error) {
	if isReference(text) {
		return resolveFlag("--database-url", text, std)
	}
	if u, err := url.Parse(text); err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") && !holdsPassword(u) {
		return secret.New(text), nil
	}
	return secret.Value{}, usageError("--database-url: must be a Postgres URL without a password, ${NAME} or file:/path\n" +
		"A password here would show in the process list; write a reference, or leave it to PGPASSWORD or PGPASSFILE.")
}

// holdsPassword tells that a Postgres URL carries one: the database's, or that
// of the client's TLS key.
func holdsPassword(u *url.URL) bool {
	_, has := u.User.Password()
	return has || u.Query().Has("password") || u.Query().Has("sslpassword")
}
