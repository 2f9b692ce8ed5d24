package docs_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// block is code in a page that says which file it is from.
var block = regexp.MustCompile("(?s)<!-- from ([^ ]+) -->\n```[a-z]+\n(.*?)\n```")

func TestTheCodeInThePagesIsThatOfTheFilesThatAreTested(t *testing.T) {
	t.Parallel()
	for page, sources := range map[string][]string{
		"callbacks.md": {"docs/receiver/receiver.go", "clients/ts/test/receiver.ts"},
		"events.md":    {"docs/consumer/consumer.go"},
		"../README.md": {"docs/receiver/receiver.go", "clients/ts/test/receiver.ts", "clients/ts/examples/ten_lines.ts"},
	} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		shown := map[string]bool{}
		for _, found := range block.FindAllStringSubmatch(string(text), -1) {
			source, err := os.ReadFile("../" + found[1])
			if err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			shown[found[1]] = true
			if !strings.Contains(string(source), found[2]) {
				t.Errorf("%s: the block from %s is not in it:\n%s", page, found[1], found[2])
			}
		}
		for _, source := range sources {
			if !shown[source] {
				t.Errorf("%s shows nothing of %s", page, source)
			}
		}
	}
}

// Each word that an operator may be shown is explained.
func TestThePageExplainsEveryReason(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("callbacks.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../server/verification/callback.go")
	if err != nil {
		t.Fatal(err)
	}
	reasons := regexp.MustCompile(`CallbackReason = "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(reasons) < 8 {
		t.Fatalf("found %d reasons", len(reasons))
	}
	for _, reason := range reasons {
		if !strings.Contains(string(text), "\n| `"+reason[1]+"` |") {
			t.Errorf("callbacks.md does not explain the reason %s", reason[1])
		}
	}
}
