package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/verigate/verigate/bench/measure"
)

// columnGap is the space between the columns of a table.
const columnGap = 2

// WriteText prints the report for a person.
func (r *Report) WriteText(w io.Writer) error {
	var text strings.Builder
	r.Machine.write(&text)
	for _, warning := range r.warnings() {
		text.WriteString("\nNOTE: " + warning + "\n")
	}
	for i := range r.Tables {
		r.Tables[i].write(&text)
	}
	fmt.Fprintf(&text, "\n%.0f s in all. ", r.Seconds)
	if r.Ended != "" {
		text.WriteString("It ended early: " + r.Ended + "\n")
	}
	if missed := r.Missed(); len(missed) > 0 {
		text.WriteString("Bars missed:\n  " + strings.Join(missed, "\n  ") + "\n")
	} else if r.Ended == "" {
		text.WriteString("No bar was missed.\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func (r *Report) warnings() []string {
	if !r.Quick {
		return r.Warnings
	}
	return append([]string{"this was --quick: it shows that the benchmark works, and its figures mean nothing."}, r.Warnings...)
}

func (t *Table) write(text *strings.Builder) {
	fmt.Fprintf(text, "\n%s: %s (%.0f s)\n\n", t.Name, t.Title, t.Seconds)
	table := tabwriter.NewWriter(text, 0, 0, columnGap, ' ', 0)
	_, _ = fmt.Fprintln(table, "  figure\tunit\tvalue\tspread\treference\tvalue\tratio\tspread\tbar\t")
	for _, f := range t.Figures {
		_, _ = fmt.Fprintf(table, "  %s\n", strings.Join(f.columns(), "\t"))
	}
	_ = table.Flush() // a strings.Builder takes everything
	for _, note := range t.Notes {
		text.WriteString("  - " + note + "\n")
	}
}

func (f *Figure) columns() []string {
	bar := ""
	if f.Bar != nil {
		bar = f.Bar.Text + ": missed"
		if f.Bar.Passed {
			bar = f.Bar.Text + ": pass"
		}
	}
	return []string{
		f.Name, f.Unit, median(f.Value), spread(f.Value),
		f.ReferenceName, median(f.Reference), median(f.Ratio), spread(f.Ratio), bar, "",
	}
}

func median(s measure.Summary) string {
	if s.Rounds == 0 {
		return ""
	}
	return number(s.Median)
}

// spread is empty where one round was all.
func spread(s measure.Summary) string {
	if s.Rounds <= 1 {
		return ""
	}
	return number(s.Least) + "-" + number(s.Most)
}

// number keeps about three digits that say something.
func number(v float64) string {
	const thousand, hundred, ten = 1000, 100, 10
	switch {
	case v == 0:
		return "0"
	case v >= thousand || v <= -thousand || v == float64(int64(v)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= hundred:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= ten:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}
