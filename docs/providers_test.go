package docs_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/aiprise"
	"github.com/verigate/verigate/server/provider/verifyhuman"
)

// providers are the adapters that there are: each has a page.
func providers() map[string]provider.Settings {
	return map[string]provider.Settings{verifyhuman.Name: verifyhuman.New(), aiprise.Name: aiprise.New()}
}

func TestEveryAdapterHasAPage(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("../server/provider/*/mapping.go")
	if err != nil || len(folders) == 0 {
		t.Fatalf("found no adapters: %v", err)
	}
	for _, mapping := range folders {
		name := filepath.Base(filepath.Dir(mapping))
		if _, known := providers()[name]; !known {
			t.Errorf("%s is not in this test; add it, and write docs/providers/%s.md", name, name)
		}
		if _, err := os.Stat("providers/" + name + ".md"); err != nil {
			t.Error(err)
		}
	}
}

func TestAProvidersPageExplainsEverySettingAndEveryReason(t *testing.T) {
	t.Parallel()
	reason := regexp.MustCompile(`(?m)^\tReason[A-Za-z]+ = "([a-z_]+)"`)
	for name, settings := range providers() {
		page, err := os.ReadFile("providers/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		mapping, err := os.ReadFile("../server/provider/" + name + "/mapping.go")
		if err != nil {
			t.Fatal(err)
		}
		fields := reflect.TypeOf(settings).Elem()
		for i := range fields.NumField() {
			key := fields.Field(i).Tag.Get("yaml")
			if key != "-" && !strings.Contains(string(page), "\n| `"+key+"` | ") {
				t.Errorf("%s: the setting %s has no row", name, key)
			}
		}
		reasons := reason.FindAllSubmatch(mapping, -1)
		if len(reasons) < 2 {
			t.Errorf("%s: found %d reason codes", name, len(reasons))
		}
		for _, code := range reasons {
			if !strings.Contains(string(page), "`"+string(code[1])+"`") {
				t.Errorf("%s: the reason code %s is not explained", name, code[1])
			}
		}
	}
}

func TestTheLinksOfThesePagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, page := range []string{
		"callbacks.md", "correlation.md", "events.md", "operator.md", "privacy.md", "sandbox.md", "security.md", "state-machine.md",
		"providers/verifyhuman.md", "providers/aiprise.md", "../README.md",
	} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		links := link.FindAllSubmatch(text, -1)
		if len(links) == 0 {
			t.Errorf("%s has no link", page)
		}
		for _, found := range links {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), string(found[1]))); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
