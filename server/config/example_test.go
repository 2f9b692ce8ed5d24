package config_test

import (
	"reflect"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/verigate/verigate/server/config"
)

const examplePath = "../../verigate.example.yaml"

func TestTheExampleIsValid(t *testing.T) {
	t.Parallel()
	// The only reference that no test machine has is the key in a file.
	source := string(readTestFile(t, examplePath))
	source = replaceOnce(t, source, "file:/run/secrets/verigate-client-token-key-old", "${VERIGATE_CLIENT_TOKEN_KEY}")
	got := parse(t, source)
	if len(got.Connections) != 2 || len(got.Flows) != 3 || len(got.ClientTokenKeys) != 2 {
		t.Errorf("got %d connections, %d flows and %d keys", len(got.Connections), len(got.Flows), len(got.ClientTokenKeys))
	}
}

// TestTheExampleShowsEveryKey keeps the documentation complete: a key that is
// new in the structs must be shown, and explained there.
func TestTheExampleShowsEveryKey(t *testing.T) {
	t.Parallel()
	want := slices.Concat(config.FileKeys(), config.KeysOf("connections[].settings", reflect.TypeFor[fakeSettings]()))
	slices.Sort(want)
	var document yaml.Node
	if err := yaml.Unmarshal(readTestFile(t, examplePath), &document); err != nil {
		t.Fatal(err)
	}
	keys := commentsOf(document.Content[0], "")
	for _, key := range want {
		switch comment, shown := keys[key]; {
		case !shown:
			t.Errorf("verigate.example.yaml does not show %s", key)
		case comment == "" && key != "client_tokens.keys" && key != "cors.origins" &&
			key != "flows[].success_message" && key != "flows[].failure_message":
			t.Errorf("verigate.example.yaml does not explain %s", key)
		}
	}
	if len(want) < len(keys) {
		t.Errorf("the file may have %d keys, the example shows %d", len(want), len(keys))
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
