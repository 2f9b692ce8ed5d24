package config

import (
	"slices"

	"github.com/verigate/verigate/server/verification"
)

func (c *checker) scope(connection int) verification.Scope {
	entry := &c.file.Connections[connection]
	return verification.Scope{Project: entry.Project, Environment: verification.Environment(entry.Environment)}
}

// isScope reports whether a scope has a project and an environment that exists.
func isScope(scope verification.Scope) bool {
	return scope.Project != "" && (scope.Environment == verification.Live || scope.Environment == verification.Test)
}

// scopeName writes a scope as project/environment.
func scopeName(scope verification.Scope) string {
	return scope.Project + "/" + string(scope.Environment)
}

// scopeUse says what the entries of a list are for that has one for each scope.
type scopeUse struct {
	// single says why a scope may have only one.
	single string
	// idle says what becomes of an entry that no connection belongs to.
	idle string
}

// entryScope checks that an entry's project and environment are those of some
// connection, and of no other entry. seen maps the scopes so far to their
// entries.
func (c *checker) entryScope(seen map[string]string, scope verification.Scope, path string, use scopeUse) {
	named := c.matches(path+".project", scope.Project, namePattern, nameShape)
	c.choice(path+".environment", string(scope.Environment), string(verification.Live), string(verification.Test))
	if !named || !isScope(scope) {
		return
	}
	c.unique(seen, scopeName(scope), scopeName(scope), path, "", use.single)
	var homes []string
	for i := range c.file.Connections {
		home := c.scope(i)
		if home == scope || !isScope(home) || c.report.unread(element("connections", i)) {
			return
		}
		if !slices.Contains(homes, scopeName(home)) {
			homes = append(homes, scopeName(home))
		}
	}
	if len(homes) > 0 {
		c.report.checkf(path+".project", "no connection belongs to %s, so %s; %s",
			scopeName(scope), use.idle, oneOf(scopeName(scope), homes))
	}
}
