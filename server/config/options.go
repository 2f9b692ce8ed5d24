package config

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/verigate/verigate/server/provider"
)

// maxOptions is the largest size of a flow's options, in bytes of JSON.
const maxOptions = 16 << 10

// The keys of a flow that its adapter judges.
const (
	productKey = "product"
	optionsKey = "options"
)

// options returns what a flow says in the provider's own words, as JSON, and
// lets the adapter judge the flow. home is the flow's connection, nil if it has
// none or its settings cannot be used; sound says that nothing is wrong with the
// product so far.
func (c *checker) options(entry *flowEntry, path string, home *Connection, sound bool) []byte {
	at := join(path, optionsKey)
	judge, judged := provider.FlowChecker(nil), false
	if home != nil {
		judge, judged = home.Settings.(provider.FlowChecker)
	}
	if home != nil && !judged {
		if len(entry.Options.Content) > 0 {
			c.report.checkf(at, "the provider %s takes no options; remove them", home.Provider)
		}
		return nil
	}
	options, ok := c.optionsJSON(&entry.Options, at)
	if !ok {
		c.report.silence(at)
	}
	if !judged {
		return options
	}
	for _, problem := range judge.CheckFlow(entry.Product, entry.HostedURL, options) {
		if problem.Field != productKey || sound {
			c.report.checkf(strings.TrimSuffix(path+"."+problem.Field, "."), "%s", problem.Message)
		}
	}
	return options
}

// optionsJSON translates a flow's options, nil for none. It is false when they
// cannot be used, which has been said.
func (c *checker) optionsJSON(node *yaml.Node, at string) ([]byte, bool) {
	if node.IsZero() {
		return nil, !c.report.unread(at)
	}
	if node.Kind != yaml.MappingNode {
		c.report.spoil(at, c.report.lineOf(at), "must be keys and values")
		return nil, false
	}
	translation := translator{report: c.report}
	tree := translation.mapping(node, at)
	if translation.failed || len(tree) == 0 {
		return nil, !translation.failed
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(tree); err != nil {
		c.report.checkf(at, "cannot be written as JSON; compare it with the provider's documentation")
		return nil, false
	}
	text := bytes.TrimSpace(out.Bytes())
	if len(text) > maxOptions {
		c.report.checkf(at, "has %d bytes as JSON, but may have at most %d; shorten it", len(text), maxOptions)
		return nil, false
	}
	return text, true
}

// jsonNumber matches what is a number in JSON (RFC 8259, section 6).
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// The kinds of plain scalars that are no text.
const (
	tagNull  = "!!null"
	tagBool  = "!!bool"
	tagInt   = "!!int"
	tagFloat = "!!float"
)

// translator turns YAML into what JSON says the same with. What could be read in
// two ways is refused, so that the provider gets what the file's reader sees.
type translator struct {
	report *report
	failed bool
}

func (t *translator) refuse(path string, line int, message string) {
	t.report.spoil(path, line, message)
	t.failed = true
}

// value returns nil for what it refuses.
func (t *translator) value(node *yaml.Node, path string) any {
	switch {
	case t.report.broken[path]:
		t.failed = true
	case node.Anchor != "":
		t.refuse(path, node.Line, "anchors are not allowed here; remove it, or put the value in quotes if the & belongs to it")
	case node.Kind == yaml.MappingNode:
		return t.mapping(node, path)
	case node.Kind == yaml.SequenceNode:
		list := make([]any, 0, len(node.Content))
		for i, item := range node.Content {
			list = append(list, t.value(item, element(path, i)))
		}
		return list
	case node.Kind == yaml.ScalarNode:
		return t.scalar(node, path)
	default:
		t.failed = true // an alias, which has been said
	}
	return nil
}

func (t *translator) mapping(node *yaml.Node, path string) map[string]any {
	tree := map[string]any{}
	for key, value := range pairs(node) {
		_, twice := tree[key.Value]
		switch {
		case !isWord(key) || twice || key.ShortTag() == "!!merge":
			t.failed = true // which has been said
		case key.Anchor != "" || !isText(key):
			t.refuse(join(path, key.Value), key.Line, "is a key that is not plain text; put it in quotes")
		default:
			tree[key.Value] = t.value(value, join(path, key.Value))
		}
	}
	return tree
}

func (t *translator) scalar(node *yaml.Node, path string) any {
	switch {
	case wholeReference.MatchString(node.Value):
		t.refuse(path, node.Line, "references such as ${NAME} are for secrets only; write the value itself")
	case node.Style == 0 && jsonNumber.MatchString(node.Value):
		if _, err := strconv.ParseFloat(node.Value, 64); err != nil {
			t.refuse(path, node.Line, "is too large for a number; put it in quotes if it is text")
			return nil
		}
		return json.Number(node.Value)
	case isText(node):
		return node.Value
	case node.ShortTag() == tagBool:
		return strings.EqualFold(node.Value, "true")
	case node.ShortTag() != tagNull:
		t.refuse(path, node.Line, "is not a number as JSON writes it; write plain decimal digits, or put it in quotes if it is text")
	case node.Value == "":
		t.refuse(path, t.report.lineOf(path), "has no value; write one, or null if that is meant, or remove the key")
	}
	return nil
}

// isText reports whether a scalar is a string. Dates are: JSON has none, and
// neither has the core schema of YAML 1.2.
func isText(node *yaml.Node) bool {
	switch node.ShortTag() {
	case tagNull, tagBool, tagInt, tagFloat:
		return false
	}
	return true
}
