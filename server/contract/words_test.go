package contract_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/verigate/verigate/server/contract"
	"github.com/verigate/verigate/server/verification"
)

// words returns every constant of a type in package verification, as the source
// has them: a word that somebody adds is one that must be said.
func words(t *testing.T, typeName string) []string {
	t.Helper()
	files, err := filepath.Glob("../verification/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	var found []string
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			is, typed := spec.Type.(*ast.Ident)
			literal, constant := spec.Values[0].(*ast.BasicLit)
			if typed && constant && is.Name == typeName {
				word, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, word)
			}
			return true
		})
	}
	return found
}

// sayer says a word of the domain in the contract's.
type sayer func(word string) protoreflect.Enum

// table is one list of words, and how many it has at least.
type table struct {
	least int
	say   sayer
}

func tables() map[string]table {
	return map[string]table{
		"State":         {9, func(w string) protoreflect.Enum { return contract.State(verification.State(w)) }},
		"Result":        {3, func(w string) protoreflect.Enum { return contract.Result(verification.Result(w)) }},
		"Match":         {4, func(w string) protoreflect.Enum { return contract.Match(verification.Match(w)) }},
		"EventKind":     {14, func(w string) protoreflect.Enum { return contract.Kind(verification.EventKind(w)) }},
		"Source":        {7, func(w string) protoreflect.Enum { return contract.Source(verification.Source(w)) }},
		"Effect":        {9, func(w string) protoreflect.Enum { return contract.Effect(verification.Effect(w)) }},
		"CallbackState": {4, func(w string) protoreflect.Enum { return contract.CallbackState(verification.CallbackState(w)) }},
		"Channel":       {2, func(w string) protoreflect.Enum { return contract.Channel(verification.Channel(w)) }},
	}
}

func TestEveryWordOfTheDomainIsSaidAndNoTwoAlike(t *testing.T) {
	t.Parallel()
	for name, list := range tables() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, said := words(t, name), map[protoreflect.EnumNumber]string{}
			if len(all) < list.least {
				t.Fatalf("only %v were found", all)
			}
			for _, word := range all {
				number := list.say(word).Number()
				if number == 0 && word != "" {
					t.Errorf("%q is said as unspecified", word)
				}
				if other, taken := said[number]; taken {
					t.Errorf("%q and %q are said alike", word, other)
				}
				said[number] = word
			}
			values := list.say("").Descriptor().Values()
			for i := range values.Len() {
				if _, meant := said[values.Get(i).Number()]; !meant && values.Get(i).Number() != 0 {
					t.Errorf("%s is said of nothing", values.Get(i).Name())
				}
			}
		})
	}
}

func TestAWordThatIsNotKnownIsUnspecified(t *testing.T) {
	t.Parallel()
	for name, list := range tables() {
		if n := list.say("some news").Number(); n != 0 {
			t.Errorf("%s says what it does not know as %d", name, n)
		}
	}
}
