package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// startHere is the remedy for a file with nothing in it.
const startHere = "start from verigate.example.yaml"

// readSource returns the root of the only document, nil when there is nothing
// to go on with; it has then said why.
func readSource(r *report, source []byte) *yaml.Node {
	if len(source) > maxFileSize {
		r.add("", 0, "the file is larger than 1 MiB; a configuration is a few hundred lines, so this is probably another file")
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var document, next yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			r.add("", 0, "the file is empty; "+startHere)
		} else {
			addSyntax(r, err, source)
		}
		return nil
	}
	switch err := decoder.Decode(&next); {
	case err == nil:
		r.add("", next.Line, "a second document begins here; keep everything in one and remove this ---")
	case !errors.Is(err, io.EOF):
		addSyntax(r, err, source)
		return nil
	}
	return rootOf(r, &document)
}

func rootOf(r *report, document *yaml.Node) *yaml.Node {
	if len(document.Content) == 0 || isNull(document.Content[0]) {
		r.add("", 0, "the file is empty; "+startHere)
		return nil
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		r.add("", root.Line, "the file must be a mapping of keys such as public_url and flows; "+startHere)
		return nil
	}
	return root
}

var syntaxMessage = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// addSyntax puts the parser's error into a problem. Its texts are constants,
// except for one that repeats what may be a secret.
func addSyntax(r *report, err error, source []byte) {
	parts := syntaxMessage.FindStringSubmatch(err.Error())
	if parts == nil {
		r.add("", 0, "this is not YAML; check that it is a text file in UTF-8")
		return
	}
	line, _ := strconv.Atoi(parts[1])
	text := parts[2]
	if strings.HasPrefix(text, "unknown anchor") {
		r.add("", 0, "a value begins with *, which YAML takes for an alias; put it in quotes")
		return
	}
	if at := tabLine(source); at > 0 && (strings.Contains(text, "tab") || strings.Contains(text, "cannot start any token")) {
		r.add("", at, "the line is indented with a tab; YAML wants spaces")
		return
	}
	r.add("", line, "the YAML cannot be read: "+text+"; "+syntaxRemedy(source, line))
}

func syntaxRemedy(source []byte, line int) string {
	if bareReference.Match(lineAt(source, line)) || bareReference.Match(lineAt(source, line+1)) {
		return `inside [ ] and { } a reference needs quotes: "${NAME}"`
	}
	return "check indentation, quotes and brackets around here"
}

// bareReference finds ${NAME} without quotes inside brackets.
var bareReference = regexp.MustCompile(`[\[{,].*[:,\[{]\s*\$\{`)

func lineAt(source []byte, line int) []byte {
	for number := 1; len(source) > 0; number++ {
		head, rest, _ := bytes.Cut(source, []byte("\n"))
		if number >= line {
			return head
		}
		source = rest
	}
	return nil
}

// tabLine returns the first line that is indented with a tab, 0 if none is.
func tabLine(source []byte) int {
	number := 0
	for text := range bytes.Lines(source) {
		number++
		indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		if bytes.ContainsRune(indent, '\t') {
			return number
		}
	}
	return 0
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}
