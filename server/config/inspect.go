package config

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// The bounds of a tree's shape. They keep paths short, whatever the file holds.
const (
	maxDepth     = 32
	maxKeyLength = 256
)

// inspect walks the tree once. It notes the line of every key and element, and
// refuses what has no place in a configuration, whatever its type: aliases,
// tags, duplicate keys and keys that are no words.
func inspect(r *report, node *yaml.Node, path string, depth int) {
	if _, known := r.lines[path]; !known {
		r.lines[path] = node.Line
	}
	switch {
	case depth > maxDepth:
		r.spoil(path, node.Line, "is nested too deeply; check the indentation")
	case node.Kind == yaml.AliasNode:
		r.spoil(path, node.Line, "aliases are not allowed; write the value out, or put it in quotes if the * belongs to it")
	case node.Style&yaml.TaggedStyle != 0:
		r.spoil(path, node.Line, "tags are not allowed; remove it, or put the value in quotes if the ! belongs to it")
	case node.Kind == yaml.SequenceNode:
		for i, item := range node.Content {
			inspect(r, item, element(path, i), depth+1)
		}
	case node.Kind == yaml.MappingNode:
		inspectKeys(r, node, path, depth)
	}
}

func inspectKeys(r *report, node *yaml.Node, path string, depth int) {
	first := map[string]int{}
	for key, value := range pairs(node) {
		switch line, twice := first[key.Value]; {
		case !isWord(key):
			r.add(path, key.Line, "has a key that is not a word; check the line")
		case key.ShortTag() == "!!merge":
			r.add(path, key.Line, "merging with << is not allowed; write the keys out")
		case twice:
			r.add(join(path, key.Value), key.Line, fmt.Sprintf("is already set on line %d; keep one of the two", line))
		default:
			first[key.Value] = key.Line
			r.lines[join(path, key.Value)] = key.Line
			inspect(r, value, join(path, key.Value), depth+1)
		}
	}
}

// isWord reports whether a key can name something.
func isWord(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Style&yaml.TaggedStyle == 0 && key.Value != "" && len(key.Value) <= maxKeyLength
}

// pairs yields the keys of a mapping with their values.
func pairs(node *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	const stride = 2
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(node.Content); i += stride {
			if !yield(node.Content[i], node.Content[i+1]) {
				return
			}
		}
	}
}
