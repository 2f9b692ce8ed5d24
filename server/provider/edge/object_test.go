package edge_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/provider/edge"
)

func parse(t *testing.T, text string) edge.Object {
	t.Helper()
	o, err := edge.Parse([]byte(text))
	if err != nil {
		t.Fatalf("Parse(%s): %v", text, err)
	}
	return o
}

func TestParseRefusesWhatIsNotExactlyOneObject(t *testing.T) {
	t.Parallel()
	const twice, notOne = "a key stands twice", "not exactly one JSON object"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                        {"", notOne},
		"a space":                        {" ", notOne},
		"a text":                         {`"private"`, notOne},
		"a number":                       {"4711", notOne},
		"null":                           {"null", notOne},
		"a list":                         {`[{"a":1}]`, notOne},
		"two objects":                    {`{"a":1}{"a":1}`, notOne},
		"an object and a comma":          {`{"a":1},`, notOne},
		"a comma too many":               {`{"a":1,}`, notOne},
		"a missing comma":                {`{"a":1 "b":2}`, notOne},
		"a missing colon":                {`{"a" 1}`, notOne},
		"a key without quotes":           {`{a:1}`, notOne},
		"an object cut short":            {`{"private":"private`, notOne},
		"a byte of no encoding":          {"\xff", notOne},
		"HTML":                           {"<html>private</html>", notOne},
		"nothing but openings":           {strings.Repeat(`{"a":`, 20000), notOne},
		"a key twice":                    {`{"private":1,"private":2}`, twice},
		"a key twice with the same text": {`{"a":"private","a":"private"}`, twice},
		"a key twice by escape":          {`{"status":1,"st\u0061tus":2}`, twice},
		"an empty key twice":             {`{"":1,"":2}`, twice},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := edge.Parse([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error that says %q", err, c.want)
			}
			if strings.Contains(err.Error(), "private") {
				t.Errorf("the error repeats the text: %v", err)
			}
			if len(o.Keys()) > 0 {
				t.Errorf("an object comes with the error, with the keys %v", o.Keys())
			}
		})
	}
}

func TestParseTakesAnObjectAsItIsWritten(t *testing.T) {
	t.Parallel()
	o := parse(t, " { \"b\" : 1.50, \"B\":null,\t\"\\u0061\":{\"x\":1,\"x\":2}, \"\":[ ] }\r\n")
	if got, want := o.Keys(), []string{"", "B", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("got the keys %q, want %q", got, want)
	}
	for key, want := range map[string]string{"b": "1.50", "B": "null", "a": `{"x":1,"x":2}`, "": "[ ]", "A": ""} {
		if got := string(o.Raw(key)); got != want {
			t.Errorf("under %q stands %s, want %s", key, got, want)
		}
		if present := o.Present(key); present != (want != "") {
			t.Errorf("Present(%q) is %t", key, present)
		}
		if has := o.Has(key); has != (want != "" && want != "null") {
			t.Errorf("Has(%q) is %t", key, has)
		}
	}
}

func TestReadingOneKey(t *testing.T) {
	t.Parallel()
	const notText, notLabel = "k is not a string", "k is empty, longer than 200 bytes or not printable"
	for name, c := range map[string]struct {
		object string
		text   string
		said   bool
		// What an error of Text and of Label says; empty for none.
		textErr, labelErr string
	}{
		"a text":                   {`{"k":"private"}`, "private", true, "", ""},
		"a text with escapes":      {`{"k":"\u0061\/b"}`, "a/b", true, "", ""},
		"a text of 200 bytes":      {`{"k":"` + strings.Repeat("x", 200) + `"}`, strings.Repeat("x", 200), true, "", ""},
		"a text of 201 bytes":      {`{"k":"` + strings.Repeat("x", 201) + `"}`, strings.Repeat("x", 201), true, "", notLabel},
		"an empty text":            {`{"k":""}`, "", true, "", notLabel},
		"a text with a NUL":        {`{"k":"private\u0000"}`, "private\x00", true, "", notLabel},
		"a text with a line break": {`{"k":"a\nb"}`, "a\nb", true, "", notLabel},
		"null":                     {`{"k":null}`, "", false, "", ""},
		"no key":                   {`{}`, "", false, "", ""},
		"the key in another case":  {`{"K":"private"}`, "", false, "", ""},
		"a number":                 {`{"k":4711}`, "", false, notText, notText},
		"true":                     {`{"k":true}`, "", false, notText, notText},
		"a list of a text":         {`{"k":["private"]}`, "", false, notText, notText},
		"an object":                {`{"k":{"private":1}}`, "", false, notText, notText},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := parse(t, c.object)
			text, said, err := o.Text("k")
			if text != c.text || said != c.said || messageOf(err) != c.textErr {
				t.Errorf("Text: got %q, %t, %v", text, said, err)
			}
			wantLabel := c.text
			if c.labelErr != "" {
				wantLabel = ""
			}
			if label, err := o.Label("k"); label != wantLabel || messageOf(err) != c.labelErr {
				t.Errorf("Label: got %q, %v", label, err)
			}
			requiredErr := c.labelErr
			if wantLabel == "" && requiredErr == "" {
				requiredErr = "k is missing"
			}
			if label, err := o.RequiredLabel("k"); label != wantLabel || messageOf(err) != requiredErr {
				t.Errorf("RequiredLabel: got %q, %v", label, err)
			}
			if !c.said && o.Is("k", "") {
				t.Error("no text is the empty text")
			}
			if c.said && (!o.Is("k", c.text) || o.Is("k", c.text+"x")) {
				t.Error("Is does not compare the text")
			}
		})
	}
}

func messageOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestChild(t *testing.T) {
	t.Parallel()
	o := parse(t, `{"data":{"id":7,"deep":{"x":1,"Y":2}},"none":null,"list":[],"twice":{"a":1,"a":2}}`)
	t.Run("names its keys with the keys around it", func(t *testing.T) {
		t.Parallel()
		data, err := o.Child("data")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := data.Label("id"); messageOf(err) != "data.id is not a string" {
			t.Errorf("got %v", err)
		}
		deep, err := data.Child("deep")
		if err != nil || deep.Name("z") != "data.deep.z" {
			t.Errorf("got %v and the name %s", err, deep.Name("z"))
		}
		if names := deep.NamesExcept([]string{"x", "y"}); !slices.Equal(names, []string{"data.deep.Y"}) {
			t.Errorf("got the names %v", names)
		}
	})
	for _, key := range []string{"none", "absent"} {
		t.Run("is empty for what is "+key+", and keeps its name", func(t *testing.T) {
			t.Parallel()
			child, err := o.Child(key)
			if err != nil || len(child.Keys()) > 0 || child.Name("a") != key+".a" {
				t.Errorf("got %v, %v, the name %s", child.Keys(), err, child.Name("a"))
			}
		})
	}
	for key, want := range map[string]string{
		"list":  "list: it is not exactly one JSON object",
		"twice": "twice: a key stands twice in one object",
	} {
		t.Run("refuses "+key, func(t *testing.T) {
			t.Parallel()
			if _, err := o.Child(key); messageOf(err) != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

func TestListsAndKinds(t *testing.T) {
	t.Parallel()
	o := parse(t, `{"list":[1, {"a":"b"},null],"empty":[],"object":{},"text":"[","none":null}`)
	var elements []string
	for _, element := range o.List("list") {
		elements = append(elements, string(element))
	}
	if want := []string{"1", `{"a":"b"}`, "null"}; !slices.Equal(elements, want) {
		t.Errorf("got the elements %q, want %q", elements, want)
	}
	for _, key := range []string{"empty", "object", "text", "none", "absent"} {
		if got := o.List(key); len(got) > 0 {
			t.Errorf("List(%s) is %s", key, got)
		}
	}
	for key, want := range map[string][2]bool{
		"list": {false, true}, "empty": {false, true}, "object": {true, false}, "text": {}, "none": {}, "absent": {},
	} {
		if got := [2]bool{o.IsKind(key, '{'), o.IsKind(key, '[')}; got != want {
			t.Errorf("%s: got object %t, list %t", key, got[0], got[1])
		}
	}
}

func TestTheZeroObjectIsEmpty(t *testing.T) {
	t.Parallel()
	var o edge.Object
	child, err := o.Child("a")
	if err != nil || o.Present("a") || len(o.Keys()) > 0 || len(child.Keys()) > 0 || o.NamesExcept(nil) != nil {
		t.Errorf("got %v, %v", o.Keys(), err)
	}
}

// FuzzParse: what Parse takes is what a looser reader takes too, with the same
// keys and values, and no key is there twice.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", "{}", " {\"a\":1 } ", `{"a":1,"a":2}`, `{"a":{"b":[1,"\u0000",null]},"A":1e9}`, `{"a":1}{}`, "[1]", "null", `{"\ud800":1}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := edge.Parse(text)
		if err != nil {
			return
		}
		var loose map[string]json.RawMessage
		if err := json.Unmarshal(text, &loose); err != nil {
			t.Fatalf("%q is no JSON object: %v", text, err)
		}
		if !slices.Equal(o.Keys(), slices.Sorted(maps.Keys(loose))) {
			t.Errorf("%q: got the keys %q", text, o.Keys())
		}
		for key, value := range loose {
			if !bytes.Equal(o.Raw(key), value) {
				t.Errorf("%q: under %q stands %q, want %q", text, key, o.Raw(key), value)
			}
			if label, err := o.Label(key); err == nil && label != "" && !edge.IsLabel(label) {
				t.Errorf("%q: %q is no label", text, label)
			}
		}
		if members := countMembers(t, text); members != len(loose) {
			t.Errorf("%q has %d members and %d keys", text, members, len(loose))
		}
	})
}

// countMembers counts the members of an object, equal keys included.
func countMembers(t *testing.T, text []byte) int {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	depth, tokens := 0, 0
	for {
		token, err := dec.Token()
		if err != nil {
			t.Fatalf("reading %q: %v", text, err)
		}
		closes := token == json.Delim('}') || token == json.Delim(']')
		if closes {
			depth--
		}
		if depth == 0 && closes {
			return tokens / 2
		}
		if depth == 1 && !closes {
			tokens++
		}
		if token == json.Delim('{') || token == json.Delim('[') {
			depth++
		}
	}
}
