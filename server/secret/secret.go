// Package secret holds values that must never be printed. A Value shows itself
// as [redacted] to every formatter, logger and encoder; only Reveal gives it
// up. In verigate.yaml a secret is a reference, never the text itself:
// `${ENV_NAME}` or `file:/path`.
//
// It imports nothing of this project.
package secret

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Redacted is what a Value prints as.
const Redacted = "[redacted]"

// Value is a secret.
type Value struct{ text string }

// New makes a Value from a text that is already in memory.
func New(text string) Value { return Value{text: text} }

// Reveal returns the secret itself.
func (v Value) Reveal() string { return v.text }

// Empty reports whether there is no secret.
func (v Value) Empty() bool { return v.text == "" }

// String implements fmt.Stringer.
func (v Value) String() string { return Redacted }

// Format implements fmt.Formatter, so that no verb reaches the text.
func (v Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// LogValue implements slog.LogValuer.
func (v Value) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText implements encoding.TextMarshaler, which JSON uses too.
func (v Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalYAML implements yaml.Marshaler.
func (v Value) MarshalYAML() (any, error) { return Redacted, nil }

// UnmarshalYAML resolves a reference. Its error is a yaml.TypeError with the
// line, so that the decoder reports it together with all others.
func (v *Value) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode {
		return problem(node, errors.New("must be ${ENV_NAME} or file:/path"))
	}
	resolved, err := Resolve(node.Value, os.Getenv)
	if err != nil {
		return problem(node, err)
	}
	*v = resolved
	return nil
}

func problem(node *yaml.Node, err error) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: secret: %v", node.Line, err)}}
}

var envReference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// Resolve returns what a reference stands for. Its error names the variable or
// the file, never the text.
func Resolve(reference string, getenv func(string) string) (Value, error) {
	text, err := resolve(reference, getenv)
	return Value{text: text}, err
}

func resolve(reference string, getenv func(string) string) (string, error) {
	if path, ok := strings.CutPrefix(reference, "file:"); ok {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("cannot read the file %s; check that it exists and is readable", path)
		}
		text := strings.TrimRight(string(content), "\r\n")
		if text == "" {
			return "", fmt.Errorf("the file %s is empty", path)
		}
		return text, nil
	}
	if m := envReference.FindStringSubmatch(reference); m != nil {
		text := getenv(m[1])
		if text == "" {
			return "", fmt.Errorf("the environment variable %s is not set", m[1])
		}
		return text, nil
	}
	return "", errors.New("write a reference, ${ENV_NAME} or file:/path, never the secret itself")
}
