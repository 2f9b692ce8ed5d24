package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

const (
	nameShape = "1 to 64 of a-z, 0-9 and -"
	// maxListed is how many names a message lists, maxCompared among how many it
	// looks for one that is near.
	maxListed   = 20
	maxCompared = 1000
)

func (c *checker) connections() []Connection {
	if len(c.file.Connections) == 0 {
		c.report.checkf("connections", "is missing; declare at least one account at a provider")
	}
	built := make([]Connection, 0, len(c.file.Connections))
	seen := map[string]string{}
	for i := range c.file.Connections {
		entry, path := &c.file.Connections[i], element("connections", i)
		if c.matches(path+".name", entry.Name, namePattern, nameShape) {
			c.unique(seen, entry.Name, entry.Name, path, "name", "connection names are unique, they make the webhook URL")
		}
		c.matches(path+".project", entry.Project, namePattern, nameShape)
		c.choice(path+".environment", entry.Environment, string(verification.Live), string(verification.Test))
		built = append(built, Connection{
			Name:      entry.Name,
			Scope:     c.scope(i),
			Provider:  entry.Provider,
			Dedicated: entry.Dedicated,
			Settings:  c.settings(entry, path),
		})
	}
	return built
}

// choice reports a value that is neither of two.
func (c *checker) choice(path, value, one, other string) {
	if c.required(path, value, "write "+one+" or "+other) && value != one && value != other {
		c.report.checkf(path, "must be %s or %s, not %s", one, other, quote(value))
	}
}

// settings decodes and validates a connection's own settings.
func (c *checker) settings(entry *connectionEntry, path string) provider.Settings {
	known := slices.Sorted(maps.Keys(c.registry))
	if !c.required(path+".provider", entry.Provider, oneOf("", known)) {
		return nil
	}
	construct, ok := c.registry[entry.Provider]
	if !ok {
		c.report.checkf(path+".provider", "there is no provider %s; %s", quote(entry.Provider), oneOf(entry.Provider, known))
		return nil
	}
	settings, at := construct(), path+".settings"
	if !isStruct(settings) {
		c.report.checkf(at, "cannot be read: the adapter %s keeps them in something else than a struct; this is a bug in it", entry.Provider)
		return nil
	}
	if !entry.Settings.IsZero() {
		decodeInto(c.report, &entry.Settings, settings, at)
	}
	if setter, ok := settings.(EnvironmentSetter); ok {
		setter.SetEnvironment(environmentOrTest(entry.Environment))
	}
	for _, problem := range settings.Validate(c.development) {
		c.report.checkf(strings.TrimSuffix(at+"."+problem.Field, "."), "%s", problem.Message)
	}
	return settings
}

func isStruct(settings provider.Settings) bool {
	in := reflect.TypeOf(settings)
	return in != nil && in.Kind() == reflect.Pointer && in.Elem().Kind() == reflect.Struct && !reflect.ValueOf(settings).IsNil()
}

// environmentOrTest lets settings be validated although the environment is
// wrong, which has been said.
func environmentOrTest(text string) verification.Environment {
	if text == string(verification.Live) {
		return verification.Live
	}
	return verification.Test
}

// oneOf is the remedy for a name that does not exist.
func oneOf(word string, known []string) string {
	if len(known) > maxCompared {
		return "check its spelling"
	}
	if meant := closest(word, known); meant != "" {
		return "did you mean " + meant + "?"
	}
	if len(known) > maxListed {
		return "check its spelling"
	}
	return "write one of " + strings.Join(known, ", ")
}
