package verification_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/verification"
)

const (
	drawingFile  = "../../docs/state-machine.md"
	drawingBegin = "<!-- state-machine:begin -->\n"
	drawingEnd   = "<!-- state-machine:end -->"
	goldenMode   = 0o644
)

func TestTheMermaidDrawingShowsTheMachine(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(drawingFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(content), drawingBegin)
	_, after, closed := strings.Cut(rest, drawingEnd)
	if !found || !closed {
		t.Fatalf("%s has lost the markers of the drawing", drawingFile)
	}
	want := before + drawingBegin + "```mermaid\n" + verification.Mermaid() + "```\n" + drawingEnd + after
	if *update {
		if err := os.WriteFile(drawingFile, []byte(want), goldenMode); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(content) != want {
		t.Errorf("%s does not show the machine; run this test with -update and look at the difference. It should read\n%s",
			drawingFile, verification.Mermaid())
	}
}

// declared returns the values of all constants of one type in one source file.
func declared(t *testing.T, file, typeName string) []string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != typeName {
			return true
		}
		for _, value := range spec.Values {
			text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, text)
		}
		return true
	})
	if len(values) == 0 {
		t.Fatalf("%s declares no constant of type %s", file, typeName)
	}
	return values
}

func TestTheListsNameEveryConstant(t *testing.T) {
	t.Parallel()
	var states, events []string
	for _, s := range verification.States() {
		states = append(states, string(s))
	}
	// Started is only ever the first event: it meets no existing verification.
	events = append(events, string(verification.Started))
	for _, e := range verification.EventKinds() {
		events = append(events, string(e))
	}
	for _, c := range []struct {
		file, typeName string
		list           []string
	}{{"state.go", "State", states}, {"event.go", "EventKind", events}} {
		constants := declared(t, c.file, c.typeName)
		slices.Sort(constants)
		slices.Sort(c.list)
		if !slices.Equal(constants, c.list) {
			t.Errorf("%s declares %s constants %q, but the list has %q", c.file, c.typeName, constants, c.list)
		}
	}
}

// TestEveryCellIsWrittenDown reads the table itself: a pair that is missing
// would be refused by Next, silently.
func TestEveryCellIsWrittenDown(t *testing.T) {
	t.Parallel()
	rows := tableInSource(t)
	for _, state := range declaredNames(t, "state.go", "State") {
		for _, event := range declaredNames(t, "event.go", "EventKind") {
			if event == "Started" {
				continue
			}
			if !slices.Contains(rows[state], event) {
				t.Errorf("machine has no cell for %s × %s; say what the event does", state, event)
			}
		}
	}
}

func declaredNames(t *testing.T, file, typeName string) []string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(tree, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if name, ok := spec.Type.(*ast.Ident); ok && name.Name == typeName {
				names = append(names, spec.Names[0].Name)
			}
		}
		return true
	})
	return names
}

func tableInSource(t *testing.T) map[string][]string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), "machine.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "machine" {
			return true
		}
		for _, row := range spec.Values[0].(*ast.CompositeLit).Elts {
			pair := row.(*ast.KeyValueExpr)
			state := pair.Key.(*ast.Ident).Name
			for _, cell := range pair.Value.(*ast.CompositeLit).Elts {
				rows[state] = append(rows[state], cell.(*ast.KeyValueExpr).Key.(*ast.Ident).Name)
			}
		}
		return false
	})
	return rows
}

func TestResults(t *testing.T) {
	t.Parallel()
	want := map[verification.State]verification.Result{
		verification.Created: "pending", verification.Pending: "pending", verification.Processing: "pending",
		verification.InReview: "pending", verification.Approved: "pass", verification.Declined: "fail",
		verification.Expired: "fail", verification.Canceled: "fail", verification.Failed: "fail",
		"approved_by_magic": "pending", "": "pending",
	}
	for state, result := range want {
		if got := state.Result(); got != result {
			t.Errorf("%q gives the result %q, want %q", state, got, result)
		}
		if terminal := result != "pending"; state.Terminal() != terminal {
			t.Errorf("%q is terminal: %t, want %t", state, state.Terminal(), terminal)
		}
	}
	for _, state := range verification.States() {
		if _, ok := want[state]; !ok {
			t.Errorf("say here which result the state %q gives", state)
		}
	}
}

func TestNothingLeavesATerminalStateButRevisionsAndLateDecisions(t *testing.T) {
	t.Parallel()
	decisions := map[verification.EventKind]verification.State{
		verification.Passed: verification.Approved, verification.RevisedToPassed: verification.Approved,
		verification.Rejected: verification.Declined, verification.RevisedToRejected: verification.Declined,
	}
	for _, from := range verification.States() {
		for _, event := range verification.EventKinds() {
			for _, inGrace := range []bool{false, true} {
				next, effect := verification.Next(from, event, inGrace)
				if (effect == verification.Applied) == (next == from) {
					t.Errorf("%s × %s leads to %s with effect %s: applied must mean a change", from, event, next, effect)
				}
				if !from.Terminal() || effect != verification.Applied {
					continue
				}
				late := from == verification.Expired && inGrace && decisions[event] == next
				if !overturns(from, next) && !late {
					t.Errorf("%s leaves the terminal state %s for %s (in grace: %t)", event, from, next, inGrace)
				}
				revises := event == verification.RevisedToPassed || event == verification.RevisedToRejected
				if overturns(from, next) && !revises {
					t.Errorf("%s turns %s over, which only a revision may", event, from)
				}
			}
		}
	}
}

func TestOnlyAProviderOrAReviewerApproves(t *testing.T) {
	t.Parallel()
	for _, from := range append(verification.States(), "unheard_of", "") {
		for _, event := range append(verification.EventKinds(), verification.Started, "unheard_of", "") {
			for _, inGrace := range []bool{false, true} {
				next, effect := verification.Next(from, event, inGrace)
				approves := next == verification.Approved && effect == verification.Applied
				if approves && event != verification.Passed && event != verification.RevisedToPassed {
					t.Errorf("%q approves from %q", event, from)
				}
			}
		}
	}
}

// overturns reports whether a move turns a decision over that was told already.
func overturns(from, to verification.State) bool {
	return (from == approved && to == declined) || (from == declined && to == approved)
}
