package integrate_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/verigate/verigate/docs/integrate/devtest"
)

var (
	fence   = regexp.MustCompile("(?s)\n```([a-z]+)\n(.*?)\n```")
	inline  = regexp.MustCompile("`([^`\n]+)`")
	snake   = regexp.MustCompile(`^[a-z]+(_[a-z]+)+(: .*)?$`)
	dotted  = regexp.MustCompile(`^([a-z_]+)\.([a-z_]+)$`)
	yamlKey = regexp.MustCompile(`(?m)^[ -]*([a-z_]+):`)
	rpc     = regexp.MustCompile(`\brpc ([A-Za-z]+)\(`)
	called  = regexp.MustCompile(`verigate\.v1\.[A-Za-z]+/([A-Za-z]+)`)
	likeRPC = regexp.MustCompile(`^(Start|Get|List|Cancel|Watch|Stream)(Verifications?|Status|Events)$`)
	flag    = regexp.MustCompile(`(?:^|\s)(--[a-z-]+)`)
)

// connectCodes are the errors that the pages may name:
// https://connectrpc.com/docs/protocol#error-codes.
func connectCodes() []string {
	return []string{
		"invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
		"resource_exhausted", "failed_precondition", "out_of_range",
	}
}

func readAll(t *testing.T, paths ...string) string {
	t.Helper()
	all := ""
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all += string(text) + "\n"
	}
	return all
}

// keysOfConfiguration are those of the example, which the configuration's own
// tests hold to be all that there are.
func keysOfConfiguration(t *testing.T) []string {
	t.Helper()
	var keys []string
	for _, found := range yamlKey.FindAllStringSubmatch(readAll(t, "../../verigate.example.yaml"), -1) {
		keys = append(keys, found[1])
	}
	return keys
}

func TestTheConfigurationKeysThatThePagesNameExist(t *testing.T) {
	t.Parallel()
	keys := keysOfConfiguration(t)
	words := connectCodes()
	contract := readAll(t, "../../proto/verigate/v1/verification.proto", "../../proto/verigate/v1/verification_service.proto")
	for name, text := range pages(t) {
		for _, found := range fence.FindAllStringSubmatch(text, -1) {
			if found[1] != "yaml" {
				continue
			}
			for _, key := range yamlKey.FindAllStringSubmatch(found[2], -1) {
				if !slices.Contains(keys, key[1]) {
					t.Errorf("%s: verigate.example.yaml has no key %s", name, key[1])
				}
			}
		}
		for _, found := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			word, _, _ := strings.Cut(found[1], ":")
			if parts := dotted.FindStringSubmatch(word); parts != nil && slices.Contains(keys, parts[1]) && !slices.Contains(keys, parts[2]) {
				t.Errorf("%s: verigate.example.yaml has no key %s", name, word)
			}
			state := strings.Contains(contract, "VERIFICATION_STATE_"+strings.ToUpper(word)+" ")
			if snake.MatchString(found[1]) && !slices.Contains(keys, word) && !slices.Contains(words, word) && !state {
				t.Errorf("%s: %s is no key of the configuration, no state and no error code", name, word)
			}
		}
	}
}

func TestTheProceduresThatThePagesNameExist(t *testing.T) {
	t.Parallel()
	var known []string
	for _, found := range rpc.FindAllStringSubmatch(readAll(t, "../../proto/verigate/v1/verification_service.proto", "../../proto/verigate/v1/event_service.proto"), -1) {
		known = append(known, found[1])
	}
	count := 0
	for name, text := range pages(t) {
		var named []string
		for _, found := range called.FindAllStringSubmatch(text, -1) {
			named = append(named, found[1])
		}
		for _, found := range inline.FindAllStringSubmatch(text, -1) {
			if likeRPC.MatchString(found[1]) {
				named = append(named, found[1])
			}
		}
		count += len(named)
		for _, procedure := range named {
			if !slices.Contains(known, procedure) {
				t.Errorf("%s: there is no procedure %s", name, procedure)
			}
		}
	}
	if count < 8 {
		t.Errorf("found %d names of procedures", count)
	}
}

// Every command of verigate, in blocks and in lines, with its flags.
func TestTheCommandsAndFlagsThatThePagesNameExist(t *testing.T) {
	t.Parallel()
	binary := devtest.Binary(t)
	help := map[string]string{}
	for name, text := range pages(t) {
		var lines []string
		for _, found := range fence.FindAllStringSubmatch(text, -1) {
			lines = append(lines, strings.Split(strings.ReplaceAll(found[2], "\\\n", " "), "\n")...)
		}
		for _, found := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			lines = append(lines, found[1])
		}
		for _, line := range lines {
			command, found := strings.CutPrefix(strings.TrimSpace(line), "verigate ")
			if !found {
				continue
			}
			command, _, _ = strings.Cut(command, " #")
			path := subcommand(command)
			if help[path] == "" {
				output, err := exec.CommandContext(t.Context(), binary, append(strings.Fields(path), "--help")...).CombinedOutput()
				if err != nil || !strings.Contains(string(output), "verigate "+path) {
					t.Errorf("%s: there is no command verigate %s", name, path)
				}
				help[path] = string(output)
			}
			for _, f := range flag.FindAllStringSubmatch(command, -1) {
				if !regexp.MustCompile(f[1] + `\b`).MatchString(help[path]) {
					t.Errorf("%s: verigate %s has no flag %s", name, path, f[1])
				}
			}
		}
	}
	if len(help) < 6 {
		t.Errorf("found %d commands", len(help))
	}
}

// subcommand is the words of a command before its arguments.
func subcommand(command string) string {
	var words []string
	for _, word := range strings.Fields(command) {
		if !regexp.MustCompile(`^[a-z]+$`).MatchString(word) {
			break
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestTheLinksOfThePagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]+))?\)`)
	all := pages(t)
	for name, text := range all {
		for _, found := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			target := name
			if found[1] != "" {
				target = found[1]
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if found[2] != "" && filepath.Ext(target) == ".md" && !slices.Contains(anchors(readAll(t, target)), found[2]) {
				t.Errorf("%s: %s has no heading %s", name, target, found[2])
			}
		}
		if !strings.Contains(all["README.md"], "("+name+")") && name != "README.md" {
			t.Errorf("README.md does not lead to %s", name)
		}
	}
}

// anchors are the names that a page's headings have in links.
func anchors(text string) []string {
	var names []string
	for _, found := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(found[1]), "")
		names = append(names, strings.ReplaceAll(plain, " ", "-"))
	}
	return names
}
