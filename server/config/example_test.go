package config_test

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/aiprise"
	"github.com/verigate/verigate/server/provider/verifyhuman"
)

const examplePath = "../../verigate.example.yaml"

func TestTheExampleIsValid(t *testing.T) {
	t.Parallel()
	got := parse(t, exampleSource(t))
	if len(got.Connections) != 3 || len(got.Flows) != 4 || len(got.ClientTokenKeys) != 2 ||
		len(got.EncryptionKeys) != 1 || len(got.EndUsers) != 1 || len(got.Callbacks) != 1 {
		t.Errorf("got %d connections, %d flows, %d and %d keys, %d issuers, %d entries for callbacks", len(got.Connections),
			len(got.Flows), len(got.ClientTokenKeys), len(got.EncryptionKeys), len(got.EndUsers), len(got.Callbacks))
	}
	if got := string(got.Flows[2].Options); got != `{"ui_options":{"common":{"default_language":"en"}}}` {
		t.Errorf("the options of kyc are %s", got)
	}
}

// TestTheExampleSuitsTheAdapters proves that the settings and options it shows
// are those of the adapters, not only of the fakes here.
func TestTheExampleSuitsTheAdapters(t *testing.T) {
	t.Parallel()
	adapters := provider.Registry{verifyhuman.Name: verifyhuman.New, aiprise.Name: aiprise.New}
	got, err := config.Parse([]byte(exampleSource(t)), "verigate.example.yaml", adapters, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := got.Connections[2].Settings.(*aiprise.Settings); !ok {
		t.Errorf("the settings of %s are %T", got.Connections[2].Name, got.Connections[2].Settings)
	}
}

// TestTheExampleStatesTheSizeOfOptions keeps the size in the example's text
// that of the code.
func TestTheExampleStatesTheSizeOfOptions(t *testing.T) {
	t.Parallel()
	source := replaceOnce(t, exampleSource(t), "default_language: en", "default_language: "+strings.Repeat("e", 16<<10))
	got := problemsOf(t, []byte(source), "f.yaml")
	if !strings.Contains(got, "may have at most 16384;") || !strings.Contains(source, "up to 16 KiB as JSON") {
		t.Errorf("got %s", got)
	}
}

// TestTheExampleShowsEveryKey keeps the documentation complete: a key that is
// new in the structs must be shown, and explained there.
func TestTheExampleShowsEveryKey(t *testing.T) {
	t.Parallel()
	want := slices.Concat(config.FileKeys(), config.KeysOf("connections[].settings", reflect.TypeFor[fakeSettings]()),
		config.KeysOf("connections[].settings", reflect.TypeFor[templateSettings]()))
	// The other bus is in a comment: see TestTheExampleShowsTheOtherBus.
	want = slices.DeleteFunc(want, func(key string) bool { return saidOfPublic(key) || strings.HasPrefix(key, "bus.nats") })
	slices.Sort(want)
	want = slices.Compact(want)
	var document yaml.Node
	if err := yaml.Unmarshal(readTestFile(t, examplePath), &document); err != nil {
		t.Fatal(err)
	}
	keys := commentsOf(document.Content[0], "")
	maps.DeleteFunc(keys, func(key, _ string) bool { return saidOfPublic(key) || strings.HasPrefix(key, "flows[].options.") })
	for _, key := range want {
		switch comment, shown := keys[key]; {
		case !shown:
			t.Errorf("verigate.example.yaml does not show %s", key)
		case comment == "" && key != "client_tokens.keys" && key != "encryption.keys" && key != "cors.origins" &&
			key != "flows[].success_message" && key != "flows[].failure_message":
			t.Errorf("verigate.example.yaml does not explain %s", key)
		}
	}
	if len(want) < len(keys) {
		t.Errorf("the file may have %d keys, the example shows %d", len(want), len(keys))
	}
}

// saidOfPublic reports whether a key is one of tls, which all listeners have and
// the example explains at the first.
func saidOfPublic(key string) bool {
	return strings.HasPrefix(key, "listeners.") && !strings.HasPrefix(key, "listeners.public.") && strings.Contains(key, ".tls")
}

// TestTheExampleStatesTheBounds keeps the ranges in the comments those of the
// code: what a value out of bounds is told must stand above its key.
func TestTheExampleStatesTheBounds(t *testing.T) {
	t.Parallel()
	source := exampleSource(t)
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(source), &document); err != nil {
		t.Fatal(err)
	}
	comments := commentsOf(document.Content[0], "")
	told := regexp.MustCompile(`must be between (\S+) and (\S+)`)
	for key, test := range map[string]struct{ line, outside string }{
		"retention.deliveries":         {"  deliveries: 30d", "-1s"},
		"retention.events":             {"  events: 90d", "-1s"},
		"retention.history":            {"  history: 400d", "-1s"},
		"limits":                       {"  per_key: 200/s", "0/s"},
		"watch.heartbeat":              {"  heartbeat: 15s", "-1s"},
		"watch.max_age":                {"  max_age: 10m", "-1s"},
		"watch.poll_interval":          {"  poll_interval: 500ms", "-1s"},
		"watch.max_watchers":           {"  max_watchers: 20000", "-1"},
		"watch.max_per_token":          {"  max_per_token: 16", "-1"},
		"watch.max_per_key":            {"  max_per_key: 5000", "-1"},
		"drain":                        {"drain: 20s", "-1s"},
		"flows[].return_window":        {"    return_window: 60s", "-1s"},
		"flows[].lifetime":             {"    lifetime: 1h", "-1s"},
		"flows[].grace":                {"    grace: 24h", "-1s"},
		"flows[].reconcile_after":      {"    reconcile_after: 2m", "-1s"},
		"flows[].max_open":             {"    max_open: 20000", "-1"},
		"flows[].max_open_per_subject": {"    max_open_per_subject: 5", "-1"},
	} {
		t.Run("the range of "+key+" is that of the code", func(t *testing.T) {
			t.Parallel()
			name, _, _ := strings.Cut(test.line, ": ")
			got := problemsOf(t, []byte(replaceOnce(t, source, "\n"+test.line+"\n", "\n"+name+": "+test.outside+"\n")), "f.yaml")
			ends := told.FindStringSubmatch(got)
			if ends == nil {
				t.Fatalf("the message states no range: %s", got)
			}
			comment := strings.Join(strings.Fields(strings.ReplaceAll(comments[key], "#", "")), " ")
			if want := ends[1] + " to " + ends[2]; !strings.Contains(comment, want) {
				t.Errorf("the comment does not say %s: %s", want, comment)
			}
		})
	}
}

// commentsOf returns the comment above each key; where a key is shown more than
// once, the first one.
func commentsOf(node *yaml.Node, path string) map[string]string {
	comments := map[string]string{}
	keep := func(more map[string]string) {
		for key, comment := range more {
			if comments[key] == "" {
				comments[key] = comment
			}
		}
	}
	if node.Kind == yaml.SequenceNode {
		for _, item := range node.Content {
			found := commentsOf(item, path+"[]")
			if item.Kind == yaml.MappingNode && item.HeadComment != "" {
				found[path+"[]."+item.Content[0].Value] += item.HeadComment
			}
			keep(found)
		}
	}
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		at := node.Content[i].Value
		if path != "" {
			at = path + "." + at
		}
		keep(map[string]string{at: node.Content[i].HeadComment})
		keep(commentsOf(node.Content[i+1], at))
	}
	return comments
}
