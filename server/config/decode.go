package config

import (
	"errors"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// defaulter is a list entry that does not begin as its zero value.
type defaulter interface{ setDefaults() }

// shorthand is a section that may also be written as a single value.
type shorthand interface{ setShort(value string) }

// decoder fills typed values from nodes. Unlike the library's it goes on after
// a mistake, knows the path of each value and never repeats a secret.
type decoder struct{ report *report }

// decodeInto fills out, a pointer to a struct with yaml tags. What is not in
// the file keeps its value, so defaults are set before.
func decodeInto(r *report, node *yaml.Node, out any, path string) {
	decoder{report: r}.value(node, reflect.ValueOf(out).Elem(), path)
}

func (d decoder) value(node *yaml.Node, out reflect.Value, path string) {
	switch {
	case d.report.broken[path]:
	case isNull(node):
		d.report.spoil(path, d.report.lineOf(path), "has no value; write one or remove the key")
	case out.Type() == reflect.TypeFor[yaml.Node]():
		out.Set(reflect.ValueOf(*node))
	case reflect.PointerTo(out.Type()).Implements(reflect.TypeFor[yaml.Unmarshaler]()):
		d.custom(node, out, path)
	default:
		d.kind(node, out, path)
	}
}

func (d decoder) kind(node *yaml.Node, out reflect.Value, path string) {
	switch out.Kind() {
	case reflect.Pointer:
		out.Set(reflect.New(out.Type().Elem()))
		d.value(node, out.Elem(), path)
	case reflect.Struct:
		if d.short(node, out, path) {
			return
		}
		if d.want(node, yaml.MappingNode, path, "keys and values") {
			d.fields(node, out, path)
		}
	case reflect.Map:
		if d.want(node, yaml.MappingNode, path, "keys and values") {
			d.entries(node, out, path)
		}
	case reflect.Slice:
		if d.want(node, yaml.SequenceNode, path, "a list: one line per entry, each beginning with -") {
			d.items(node, out, path)
		}
	case reflect.Interface, reflect.Array:
		d.custom(node, out, path)
	default:
		d.scalar(node, out, path)
	}
}

// short reads a section that is written as a single value, if it may be.
func (d decoder) short(node *yaml.Node, out reflect.Value, path string) bool {
	section, ok := out.Addr().Interface().(shorthand)
	if !ok || node.Kind != yaml.ScalarNode {
		return false
	}
	var value string
	d.scalar(node, reflect.ValueOf(&value).Elem(), path)
	section.setShort(value)
	return true
}

func (d decoder) want(node *yaml.Node, kind yaml.Kind, path, what string) bool {
	if node.Kind != kind {
		d.report.spoil(path, d.report.lineOf(path), "must be "+what)
	}
	return node.Kind == kind
}

func (d decoder) fields(node *yaml.Node, out reflect.Value, path string) {
	known := fieldsOf(out.Type())
	done := map[string]bool{}
	var unknown []*yaml.Node
	for key, value := range pairs(node) {
		index, ok := known[key.Value]
		switch {
		case !isWord(key) || done[key.Value] || key.ShortTag() == "!!merge":
		case !ok:
			unknown = append(unknown, key)
		default:
			d.value(value, out.FieldByIndex(index), join(path, key.Value))
		}
		done[key.Value] = true
	}
	for key := range known {
		if done[key] {
			delete(known, key)
		}
	}
	for _, key := range unknown {
		d.unknown(key, path, known, out.Type())
	}
}

// unknown reports a key that nothing reads. missing are the known keys that the
// mapping does not have: one of them may be meant.
func (d decoder) unknown(key *yaml.Node, path string, missing map[string][]int, in reflect.Type) {
	at := join(path, key.Value)
	if now, known := moved[at]; known {
		d.report.add(at, key.Line, "is now "+now+"; write its value there and remove this key")
		return
	}
	if meant := closest(key.Value, keysOf(missing)); meant != "" {
		d.report.add(at, key.Line, "is not a key here; did you mean "+meant+"?")
		d.report.silence(join(path, meant))
		return
	}
	d.report.add(at, key.Line, "is not a key here; the keys are "+strings.Join(keysOf(fieldsOf(in)), ", "))
}

func (d decoder) entries(node *yaml.Node, out reflect.Value, path string) {
	if out.Type().Key().Kind() != reflect.String {
		d.custom(node, out, path)
		return
	}
	out.Set(reflect.MakeMap(out.Type()))
	for key, value := range pairs(node) {
		name := reflect.ValueOf(key.Value).Convert(out.Type().Key())
		if !isWord(key) || key.ShortTag() == "!!merge" || out.MapIndex(name).IsValid() {
			continue
		}
		entry := reflect.New(out.Type().Elem()).Elem()
		d.value(value, entry, join(path, key.Value))
		out.SetMapIndex(name, entry)
	}
}

func (d decoder) items(node *yaml.Node, out reflect.Value, path string) {
	out.Set(reflect.MakeSlice(out.Type(), len(node.Content), len(node.Content)))
	for i, item := range node.Content {
		if entry, ok := out.Index(i).Addr().Interface().(defaulter); ok {
			entry.setDefaults()
		}
		d.value(item, out.Index(i), element(path, i))
	}
}

// custom leaves a value to its own UnmarshalYAML, as secret.Value has, or to
// the library when it is of a kind that settings seldom have.
func (d decoder) custom(node *yaml.Node, out reflect.Value, path string) {
	if d.report.unread(path) {
		return
	}
	err := node.Decode(out.Addr().Interface())
	if err == nil {
		return
	}
	if typed, ok := errors.AsType[*yaml.TypeError](err); ok {
		for _, text := range typed.Errors {
			d.customProblem(text, node, path)
		}
		return
	}
	d.customProblem(err.Error(), node, path)
}

var (
	typeErrorLine = regexp.MustCompile(`^line (\d+): `)
	// libraryText matches the library's own messages, which repeat values.
	libraryText = regexp.MustCompile(`^yaml: |^cannot (unmarshal|decode) |^mapping key |^field `)
)

func (d decoder) customProblem(text string, node *yaml.Node, path string) {
	line := node.Line
	if prefix := typeErrorLine.FindStringSubmatch(text); prefix != nil {
		line, _ = strconv.Atoi(prefix[1])
		text = strings.TrimPrefix(text[len(prefix[0]):], "secret: ")
	}
	if libraryText.MatchString(text) {
		text = "is not the kind of value that belongs here; compare it with verigate.example.yaml"
	}
	d.report.spoil(path, line, text)
}

// fieldsOf returns the yaml keys of a struct and where their fields are.
func fieldsOf(in reflect.Type) map[string][]int {
	fields := map[string][]int{}
	collectFields(fields, in, nil)
	return fields
}

func collectFields(fields map[string][]int, in reflect.Type, holder []int) {
	for i := range in.NumField() {
		field := in.Field(i)
		index := append(slices.Clone(holder), i)
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !field.IsExported():
		case options == "inline" && field.Type.Kind() == reflect.Struct:
			collectFields(fields, field.Type, index)
		case name == "":
			fields[strings.ToLower(field.Name)] = index
		default:
			fields[name] = index
		}
	}
}

func keysOf(fields map[string][]int) []string {
	return slices.Sorted(maps.Keys(fields))
}
