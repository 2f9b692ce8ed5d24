package report_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/bench/report"
)

func sample() *report.Report {
	figure := report.Compare("32 connections", "1/s", []float64{900, 1000, 1100}, "pgbench", []float64{500, 500, 500})
	figure.Bar = report.AtLeast("ratio", figure.Ratio.Median, 2)
	slow := report.Single("p99", "ms", 20.5)
	slow.Bar = report.AtMost("p99", 20.5, 20)
	return &report.Report{
		Machine: report.Machine{CPU: "a CPU", Cores: 2, Kernel: "6", Postgres: "15.18", Go: "go1.26", Date: time.Date(2026, 5, 17, 10, 0, 0, 0, time.UTC)},
		Quick:   true, Seconds: 61,
		Tables: []report.Table{{Name: "ingest", Title: "webhooks", Figures: []report.Figure{figure, slow}, Notes: []string{"half load is 500"}}},
	}
}

func TestTextHasALineForEachFigure(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	r := sample()
	r.Judge()
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	lines := map[string][]string{}
	for line := range strings.Lines(text.String()) {
		if fields := strings.Fields(line); len(fields) > 0 {
			lines[fields[0]] = fields
		}
	}
	if got, want := strings.Join(lines["32"], " "), "32 connections 1/s 1000 900-1100 pgbench 500 2 1.80-2.20 ratio >= 2: pass"; got != want {
		t.Errorf("the line is %q, want %q", got, want)
	}
	if got, want := strings.Join(lines["p99"], " "), "p99 ms 20.5 p99 <= 20: missed"; got != want {
		t.Errorf("the line is %q, want %q", got, want)
	}
	for _, want := range []string{"figures mean nothing", "half load is 500", "Bars missed:\n  ingest: p99", "PostgreSQL 15.18", "2 cores"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text does not say %q:\n%s", want, text.String())
		}
	}
}

func TestColumnsAreAligned(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	if err := sample().WriteText(&text); err != nil {
		t.Fatal(err)
	}
	at := -1
	for line := range strings.Lines(text.String()) {
		for _, bar := range []string{"bar ", "ratio >= 2: pass", "p99 <= 20: missed"} {
			i := strings.Index(line, bar)
			if i < 0 || !strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "  ingest") {
				continue
			}
			if at >= 0 && i != at {
				t.Errorf("the column of bars begins at %d and at %d:\n%s", at, i, text.String())
			}
			at = i
		}
	}
	if at < 0 {
		t.Error("there is no column of bars")
	}
}

func TestJudgeTellsAMissedBar(t *testing.T) {
	t.Parallel()
	r := sample()
	if r.Judge(); r.Passed {
		t.Error("a missed bar passed")
	}
	r.Tables[0].Figures = r.Tables[0].Figures[:1]
	if r.Judge(); !r.Passed {
		t.Errorf("missed %v", r.Missed())
	}
	r.Ended = "told: the line was cut"
	if r.Judge(); r.Passed {
		t.Error("a run that ended early passed")
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "ended early: told") || strings.Contains(text.String(), "No bar") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

func TestJSONHasWhatTheTextHas(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Machine struct {
			CPU, Kernel, Postgres, Go, Date string
			Cores                           int
		}
		Quick  bool
		Tables []struct {
			Name    string
			Figures []struct {
				Name, Unit    string
				Value, Ratio  struct{ Median, Least, Most float64 }
				ReferenceName string `json:"reference_name"`
				Bar           *struct {
					Text   string
					Passed bool
				}
			}
		}
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if got.Machine.Cores != 2 || got.Machine.Postgres != "15.18" || got.Machine.Date == "" || !got.Quick {
		t.Errorf("the machine is %+v, quick %t", got.Machine, got.Quick)
	}
	f := got.Tables[0].Figures[0]
	if f.Value.Median != 1000 || f.Ratio.Least != 1.8 || f.ReferenceName != "pgbench" || f.Bar == nil || !f.Bar.Passed {
		t.Errorf("the figure is %+v", f)
	}
	if strings.Contains(string(raw), `"reference":{"median":0`) {
		t.Errorf("a figure without a reference has one in JSON: %s", raw)
	}
}
