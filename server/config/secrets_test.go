package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/verigate/verigate/server/secret"
)

func TestAConfigurationPrintsWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	source := exampleSource(t)
	c := parse(t, source)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("configured", "config", c, "settings", c.Connections[0].Settings)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("configured", "config", c, "settings", c.Connections[0].Settings)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	settings := c.Connections[0].Settings
	for form, text := range map[string]string{
		"%v":   fmt.Sprintf("%v %v", c, settings),
		"%+v":  fmt.Sprintf("%+v %+v", c, settings),
		"%#v":  fmt.Sprintf("%#v %#v", c, settings),
		"%s":   fmt.Sprintf("%s %s", c.DatabaseURL, c.ClientTokenKeys),
		"JSON": string(asJSON),
		"YAML": string(asYAML),
		"slog": log.String(),
	} {
		t.Run("as "+form, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(text, "LEAK") {
				t.Errorf("a secret is printed: %s", text)
			}
			if !strings.Contains(text, secret.Redacted) {
				t.Errorf("no secret is printed as %s, so this proves nothing: %s", secret.Redacted, text)
			}
		})
	}
}

func replaceOnce(t *testing.T, text, old, replacement string) string {
	t.Helper()
	if strings.Count(text, old) != 1 {
		t.Fatalf("%q does not occur exactly once", old)
	}
	return strings.Replace(text, old, replacement, 1)
}
