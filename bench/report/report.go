// Package report owns what the benchmark found: tables of figures, each with
// its reference and its bar, and the two forms in which they are shown.
//
//	figure ─► table ─► Report ─► WriteText (people) or JSON (programs)
//
// It must not know how anything was measured.
package report

import (
	"github.com/verigate/verigate/bench/measure"
)

// Report is one run of the benchmark.
type Report struct {
	Machine Machine `json:"machine"`
	// Quick tells that the sizes were so small that the figures mean nothing.
	Quick bool `json:"quick"`
	// Warnings are what a reader must know before any figure.
	Warnings []string `json:"warnings,omitempty"`
	Tables   []Table  `json:"tables"`
	// Seconds is how long the run took.
	Seconds float64 `json:"seconds"`
	// Ended says what ended the run before all tables were there; empty if nothing did.
	Ended string `json:"ended,omitempty"`
	// Passed tells that all tables are there and no bar was missed.
	Passed bool `json:"passed"`
}

// Table is the figures about one matter.
type Table struct {
	// Name is the word that --only takes.
	Name string `json:"name"`
	// Title says in a line what was measured.
	Title   string   `json:"title"`
	Figures []Figure `json:"figures"`
	// Notes are what a reader needs to understand the figures.
	Notes []string `json:"notes,omitempty"`
	// Seconds is how long the table took, preparations included.
	Seconds float64 `json:"seconds"`
}

// Figure is one line: what was measured, what it is compared with, and whether
// that is good enough.
type Figure struct {
	Name string `json:"name"`
	// Unit is the unit of Value and Reference, such as 1/s or ms.
	Unit  string          `json:"unit"`
	Value measure.Summary `json:"value"`
	// ReferenceName says what Reference is; empty if there is none.
	ReferenceName string          `json:"reference_name,omitempty"`
	Reference     measure.Summary `json:"reference,omitzero"`
	// Ratio is Value over Reference, taken round by round.
	Ratio measure.Summary `json:"ratio,omitzero"`
	// Bar is nil for a figure that only informs.
	Bar *Bar `json:"bar,omitempty"`
}

// Bar is what a figure has to reach.
type Bar struct {
	// Text says it in words, such as "ratio >= 2.0".
	Text   string `json:"text"`
	Passed bool   `json:"passed"`
}

// AtLeast is a bar that value must not be under; what names the value.
func AtLeast(what string, value, least float64) *Bar {
	return &Bar{Text: what + " >= " + number(least), Passed: value >= least}
}

// AtMost is a bar that value must not be over; what names the value.
func AtMost(what string, value, most float64) *Bar {
	return &Bar{Text: what + " <= " + number(most), Passed: value <= most}
}

// Compare returns a figure with the ratio of each round.
func Compare(name, unit string, values []float64, referenceName string, references []float64) Figure {
	return Figure{
		Name: name, Unit: unit, Value: measure.Over(values),
		ReferenceName: referenceName, Reference: measure.Over(references),
		Ratio: measure.Over(measure.Ratios(values, references)),
	}
}

// Single returns a figure that was measured without a reference.
func Single(name, unit string, values ...float64) Figure {
	return Figure{Name: name, Unit: unit, Value: measure.Over(values)}
}

// Judged returns the figure with a bar.
func Judged(f Figure, bar *Bar) Figure {
	f.Bar = bar
	return f
}

// Missed lists the figures whose bar was missed, as table: figure (bar).
func (r *Report) Missed() []string {
	var missed []string
	for _, table := range r.Tables {
		for _, f := range table.Figures {
			if f.Bar != nil && !f.Bar.Passed {
				missed = append(missed, table.Name+": "+f.Name+" ("+f.Bar.Text+" "+f.Unit+")")
			}
		}
	}
	return missed
}

// Judge sets Passed.
func (r *Report) Judge() { r.Passed = r.Ended == "" && len(r.Missed()) == 0 }
