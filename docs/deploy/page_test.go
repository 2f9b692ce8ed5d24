package deploy_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The page and the files agree on what was tested and how long things are.
func TestThePageAndTheFilesAgree(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	tested := regexp.MustCompile(`Tested with ([A-Za-z]+ [0-9.]+[0-9])\.`)
	for _, p := range proxies() {
		text, err := os.ReadFile(p.file)
		if err != nil {
			t.Fatal(err)
		}
		said := tested.FindSubmatch(text)
		if said == nil {
			t.Fatalf("%s does not say what it was tested with", p.file)
		}
		if row := "| [" + p.file + "](" + p.file + ") | " + string(said[1]) + " |"; !strings.Contains(string(page), row) {
			t.Errorf("the page lacks %q", row)
		}
		if !strings.Contains(string(page), strings.TrimPrefix(strings.TrimPrefix(p.install, "apt-get install "), "pip install ")) {
			t.Errorf("the page does not say how to get %s", p.name)
		}
	}
}

// The page's figures are the gateway's defaults.
func TestThePageKnowsTheGatewaysDefaults(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../../verigate.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"heartbeat: 15s", "max_age: 10m", "drain: 20s", "address: 127.0.0.1:8082"} {
		if !strings.Contains(string(example), line) {
			t.Errorf("verigate.example.yaml does not say %q any more; the page and the files count on it", line)
		}
	}
}

// Every heading, file and command of the page that can be looked up exists.
func TestThePageNamesCommandsThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("(?m)(?:^|`)verigate ([a-z]+)(?: .*?--([a-z]+))?").FindAllStringSubmatch(string(page), -1)
	if len(commands) < 2 {
		t.Fatalf("found %v", commands)
	}
	for _, command := range commands {
		help := run(t, t.TempDir(), nil, command[1], "--help")
		if command[2] != "" && !strings.Contains(help, "--"+command[2]) {
			t.Errorf("verigate %s has no flag --%s", command[1], command[2])
		}
	}
}
