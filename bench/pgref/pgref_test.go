package pgref_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/bench/pgref"
	"github.com/verigate/verigate/bench/rig"
)

func TestDecideHasTheGatewaysStatements(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 17, 10, 0, 0, 0, time.UTC)
	script, err := pgref.Decide(rig.Set{Names: rig.OwnNames(), Number: 1, Time: now}, now)
	if err != nil {
		t.Fatal(err)
	}
	var began []string
	for _, statement := range strings.Split(script.Text(), ";\n") {
		for line := range strings.Lines(statement) {
			if !strings.HasPrefix(line, `\set`) {
				began = append(began, strings.Join(strings.Fields(line)[:min(3, len(strings.Fields(line)))], " "))
				break
			}
		}
	}
	want := []string{
		"BEGIN", "INSERT INTO seen", "SELECT connection, ref,", "SELECT id, project,", "INSERT INTO provider_ref",
		"UPDATE verification SET", "INSERT INTO transition", "INSERT INTO delivery", "COMMIT",
	}
	if strings.Join(began, "|") != strings.Join(want, "|") {
		t.Errorf("the statements begin with\n%q, want\n%q", began, want)
	}
	if left := regexp.MustCompile(`\$[0-9]|--`).FindString(script.Text()); left != "" {
		t.Errorf("the script still has %q, which pgbench does not understand", left)
	}
	if !strings.Contains(script.Text(), "FOR UPDATE") {
		t.Error("the row is not locked")
	}
}
