package docs_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The page for operators explains each word that they may meet. Where the words
// come from the source, the test finds those that are new.
func TestThePageForOperatorsExplainsEveryWord(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("operator.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, source string
		word         *regexp.Regexp
		prefix       string
		least        int
	}{
		{"metric", "../server/telemetry/metrics.go", regexp.MustCompile(`"([a-z]+(?:_[a-z]+)+)", "[A-Z]|Name: "([a-z_]+)"`), "verigate_", 16},
		{"audit action", "../server/verification/audit.go", regexp.MustCompile(`AuditAction = "([a-z_.]+)"`), "", 13},
		{"effect", "../server/verification/event.go", regexp.MustCompile(`Effect = "([a-z]+)"`), "", 9},
		{"outcome of a fetch", "../server/reconcile/doc.go", regexp.MustCompile(`Outcome[A-Za-z]+ = "([a-z_]+)"`), "", 5},
		{"reason for refusing a webhook", "../server/webhook/webhook.go", regexp.MustCompile(`h\.refuse\(.*"([a-z_]+)"\)`), "", 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(c.source)
			if err != nil {
				t.Fatal(err)
			}
			words := c.word.FindAllStringSubmatch(string(source), -1)
			if len(words) < c.least {
				t.Fatalf("found %d in %s, want %d or more: %v", len(words), c.source, c.least, words)
			}
			for _, word := range words {
				if text := c.prefix + strings.Join(word[1:], ""); !strings.Contains(string(page), "`"+text+"`") {
					t.Errorf("operator.md does not explain %s", text)
				}
			}
		})
	}
}

// A command that the page names is one that the binary has.
func TestThePageForOperatorsNamesCommandsThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("operator.md")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range []string{"timeline", "deliveries_list", "deliveries_show", "deliveries_settle", "override", "callbacks"} {
		text, err := os.ReadFile("../cmd/verigate/" + file + ".go")
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	commands := regexp.MustCompile(`(?m)^verigate (?:(?:deliveries|callbacks) )?([a-z]+)(.*)$`).FindAllStringSubmatch(string(page), -1)
	if len(commands) < 10 {
		t.Fatalf("found %d commands", len(commands))
	}
	for _, command := range commands {
		if !regexp.MustCompile(`Use: +"` + command[1] + `\b`).MatchString(source.String()) {
			t.Errorf("no such command: %s", command[0])
		}
		line, _, _ := strings.Cut(command[2], "#")
		for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(line, -1) {
			if !strings.Contains(source.String(), `, "`+flag[1]+`", `) {
				t.Errorf("no such flag: %s", command[0])
			}
		}
	}
}
