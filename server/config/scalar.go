package config

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const day = 24 * time.Hour

// wholeReference matches a reference to a secret.
var wholeReference = regexp.MustCompile(`^\$\{[^}]*\}$`)

// scalar reads one plain value.
func (d decoder) scalar(node *yaml.Node, out reflect.Value, path string) {
	if node.Kind != yaml.ScalarNode {
		d.report.spoil(path, d.report.lineOf(path), "must be a single value, not a list or a mapping")
		return
	}
	if wholeReference.MatchString(node.Value) {
		d.report.spoil(path, node.Line, "references such as ${NAME} are for secrets only; write the value itself")
		return
	}
	if message := setScalar(node, out); message != "" {
		d.report.spoil(path, node.Line, message)
	}
}

// setScalar stores a value and returns what is wrong with it, empty if nothing
// is.
func setScalar(node *yaml.Node, out reflect.Value) string {
	switch {
	case out.Type() == reflect.TypeFor[time.Duration]():
		return setDuration(node, out)
	case out.Kind() == reflect.String:
		out.SetString(node.Value)
		return ""
	case out.Kind() == reflect.Bool:
		if node.ShortTag() != "!!bool" {
			return "must be true or false, without quotes"
		}
	case out.CanInt() || out.CanUint():
		if node.ShortTag() != "!!int" {
			return "must be a whole number, without quotes"
		}
	case out.CanFloat():
		if tag := node.ShortTag(); tag != "!!int" && tag != "!!float" {
			return "must be a number, without quotes"
		}
	}
	if err := node.Decode(out.Addr().Interface()); err != nil {
		return "is out of range or not the kind of value that belongs here; compare it with verigate.example.yaml"
	}
	return ""
}

func setDuration(node *yaml.Node, out reflect.Value) string {
	parsed, ok := parseDuration(node.Value)
	if !ok {
		return quote(node.Value) + " is not a duration; write a number with its unit, such as 500ms, 15s, 10m, 24h or 30d"
	}
	out.SetInt(int64(parsed))
	return ""
}

// parseDuration reads what Go reads, and whole days.
func parseDuration(text string) (time.Duration, bool) {
	const bits = 16
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, bits)
		return time.Duration(n) * day, err == nil
	}
	parsed, err := time.ParseDuration(text)
	return parsed, err == nil
}

// formatDuration writes a duration as a person would in the file.
func formatDuration(d time.Duration) string {
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
