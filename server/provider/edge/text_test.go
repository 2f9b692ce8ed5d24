package edge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/verigate/verigate/server/provider/edge"
)

func TestLabels(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ label, path bool }{
		"vs_abc-123":             {true, true},
		"user 12345":             {true, true},
		"../a b?b#c%2F":          {true, true},
		"Ada é ß":                {true, true},
		"...":                    {true, true},
		".":                      {true, false},
		"..":                     {true, false},
		"":                       {false, false},
		"a\nb":                   {false, false},
		"a\x00":                  {false, false},
		"a\x7f":                  {false, false},
		"a\u202eb":               {false, false},
		"a\xff":                  {false, false},
		strings.Repeat("x", 200): {true, true},
		strings.Repeat("x", 201): {false, false},
		strings.Repeat("é", 100): {true, true},
		strings.Repeat("é", 101): {false, false},
	} {
		t.Run(fmt.Sprintf("the text %q", text), func(t *testing.T) {
			t.Parallel()
			if got := edge.IsLabel(text); got != want.label {
				t.Errorf("IsLabel is %t", got)
			}
			if got := edge.IsPathLabel(text); got != want.path {
				t.Errorf("IsPathLabel is %t", got)
			}
		})
	}
}

func TestShowable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"REVIEW":                              "REVIEW",
		"PASS ED":                             "PASS ED",
		"PAſſ":                                "PAſſ",
		"a\x1b[31m\r\nb\x00":                  "a[31mb",
		"":                                    "?",
		"\x00\n":                              "?",
		strings.Repeat("é", 70):               strings.Repeat("é", 64),
		"\n" + strings.Repeat("é", 64) + "\n": strings.Repeat("é", 64),
	} {
		t.Run(fmt.Sprintf("of %q", text), func(t *testing.T) {
			t.Parallel()
			if got := edge.Showable(text, 64); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestUnknownFields(t *testing.T) {
	t.Parallel()
	t.Run("are the keys that are not known, sorted, each once", func(t *testing.T) {
		t.Parallel()
		o := parse(t, `{"zip":1,"Status":2,"status":3,"a":4,"a ":5}`)
		got := edge.UnknownFields(o.NamesExcept([]string{"status"}), []string{"data.b", "zip"})
		if want := []string{"Status", "a", "data.b", "zip"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("are none, not an empty list, where all is known", func(t *testing.T) {
		t.Parallel()
		o := parse(t, `{"a":1,"ü":2}`)
		if got := edge.UnknownFields(o.NamesExcept([]string{"a"}), nil); got != nil {
			t.Errorf("got %#v", got)
		}
	})
	t.Run("are at most twenty", func(t *testing.T) {
		t.Parallel()
		var many []string
		for i := range 30 {
			many = append(many, fmt.Sprintf("x%02d", 29-i))
		}
		if got := edge.UnknownFields(many); len(got) != 20 || got[0] != "x00" || got[19] != "x19" {
			t.Errorf("got %v", got)
		}
	})
	for key, want := range map[string]string{
		"a b\x00ü-c.d_e":        "ab-c.d_e",
		"plain_Key-1.x":         "plain_Key-1.x",
		"ü":                     "",
		"":                      "",
		"a\nb\"c<":              "abc",
		strings.Repeat("k", 65): strings.Repeat("k", 64),
	} {
		t.Run(fmt.Sprintf("lose what is not plain in %q", key), func(t *testing.T) {
			t.Parallel()
			if got := edge.FieldName(key); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestUUID(t *testing.T) {
	t.Parallel()
	const canonical = "4f1d2c3b-0000-4000-8000-0000000000aa"
	for text, want := range map[string]string{
		canonical:                               canonical,
		strings.ToUpper(canonical):              canonical,
		strings.ReplaceAll(canonical, "-", ""):  "",
		"{" + canonical + "}":                   "",
		"urn:uuid:" + canonical:                 "",
		" " + canonical:                         "",
		strings.Replace(canonical, "a", "g", 1): "",
		"kyc":                                   "",
		"":                                      "",
		strings.Replace(canonical, "-0", "0-", 1): "",
	} {
		t.Run(fmt.Sprintf("in %q", text), func(t *testing.T) {
			t.Parallel()
			if got, ok := edge.UUID(text); got != want || ok != (want != "") {
				t.Errorf("got %q, %t, want %q", got, ok, want)
			}
		})
	}
}

// FuzzTexts: whatever comes in, what leaves is bounded and can be stored and
// shown.
func FuzzTexts(f *testing.F) {
	for _, text := range []string{"", "PASS", "a\x00b", "\xff", "é\u202e", strings.Repeat("k", 300)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const most = 5
		shown := edge.Showable(text, most)
		if shown == "" || utf8.RuneCountInString(shown) > most || strings.ContainsFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("Showable(%q) is %q", text, shown)
		}
		if name := edge.FieldName(text); len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != "" {
			t.Errorf("FieldName(%q) is %q", text, name)
		}
		if edge.IsLabel(text) && (text == "" || len(text) > 200 || edge.Showable(text, len(text)) != text) {
			t.Errorf("%q is a label", text)
		}
		if id, ok := edge.UUID(text); ok && id != strings.ToLower(text) {
			t.Errorf("UUID(%q) is %q", text, id)
		}
	})
}
