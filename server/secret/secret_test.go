package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/verigate/verigate/server/secret"
)

const marked = "marked-secret-text"

func TestAValueShowsItselfToNobody(t *testing.T) {
	t.Parallel()
	value := secret.New(marked)
	holder := struct {
		Name string
		Key  secret.Value
		Ptr  *secret.Value
	}{"n", value, &value}
	var printed bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		_, _ = fmt.Fprintf(&printed, verb+" "+verb+"\n", value, holder)
	}
	_, _ = fmt.Fprintln(&printed, value, errors.New("wraps "+value.String()))
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("x", "value", value, "holder", holder)
	slog.New(slog.NewTextHandler(&printed, nil)).Info("x", "value", value, "holder", holder)
	for _, encode := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		encoded, err := encode(holder)
		if err != nil {
			t.Fatal(err)
		}
		printed.Write(encoded)
	}
	if strings.Contains(printed.String(), marked) || strings.Contains(printed.String(), fmt.Sprintf("%x", marked)) {
		t.Errorf("the secret was printed:\n%s", printed.String())
	}
	if !strings.Contains(printed.String(), secret.Redacted) || value.Reveal() != marked || value.Empty() {
		t.Error("the value does not behave as one")
	}
}

func TestAReferenceIsResolvedOrRefusedWithItsLine(t *testing.T) {
	t.Setenv("SECRET_TEST_SET", marked)
	t.Setenv("SECRET_TEST_EMPTY", "")
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, []byte(marked+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ yaml, want, problem string }{
		"an environment variable": {yaml: `${SECRET_TEST_SET}`, want: marked},
		"a file":                  {yaml: "file:" + file, want: marked},
		"an unset variable":       {yaml: `${SECRET_TEST_UNSET}`, problem: "SECRET_TEST_UNSET is not set"},
		"an empty variable":       {yaml: `${SECRET_TEST_EMPTY}`, problem: "SECRET_TEST_EMPTY is not set"},
		"a missing file":          {yaml: "file:" + dir + "/none", problem: "cannot read the file"},
		"an empty file":           {yaml: "file:" + empty, problem: "is empty"},
		"the text itself":         {yaml: "hunter2-literal", problem: "never the secret itself"},
		"a list":                  {yaml: "[a]", problem: "must be ${ENV_NAME}"},
	} {
		t.Run(name, func(t *testing.T) {
			var into struct{ Key secret.Value }
			err := yaml.Unmarshal([]byte("\nkey: "+c.yaml+"\n"), &into)
			if c.problem == "" {
				if err != nil || into.Key.Reveal() != c.want {
					t.Fatalf("got %q, %v", into.Key.Reveal(), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.problem) || !strings.Contains(err.Error(), "line 2") {
				t.Fatalf("got %v, want %q on line 2", err, c.problem)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error repeats the secret")
			}
		})
	}
}

func TestAReferenceIsResolvedInTheGivenEnvironment(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(marked+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string {
		if name == "GIVEN" {
			return marked
		}
		return ""
	}
	for name, c := range map[string]struct{ reference, problem string }{
		"a variable of it":          {"${GIVEN}", ""},
		"a file":                    {"file:" + file, ""},
		"a variable of another":     {"${PATH}", "PATH is not set"},
		"a missing file":            {"file:" + file + ".none", file + ".none"},
		"a variable without braces": {"$GIVEN", "never the secret itself"},
		"more than a reference":     {"${GIVEN}-hunter2", "never the secret itself"},
		"two references":            {"${GIVEN}${GIVEN}", "never the secret itself"},
		"a name that is none":       {"${1GIVEN}", "never the secret itself"},
		"nothing":                   {"", "never the secret itself"},
		"the text itself":           {"hunter2", "never the secret itself"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			value, err := secret.Resolve(c.reference, getenv)
			if c.problem == "" {
				if err != nil || value.Reveal() != marked {
					t.Errorf("got %q, %v", value.Reveal(), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.problem) || !value.Empty() {
				t.Fatalf("got %v, want an error with %q", err, c.problem)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), marked) {
				t.Errorf("the error repeats the secret: %v", err)
			}
		})
	}
}
