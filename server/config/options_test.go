package config_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/config"
)

// optionsWith returns minimal.yaml with a flow whose adapter judges options, and
// which has those.
func optionsWith(t *testing.T, options string) string {
	t.Helper()
	source := replaceOnce(t, string(readTestFile(t, "testdata/minimal.yaml")), "flows:\n",
		"  - {name: template, project: acme, environment: live, provider: aiprise, settings: {api_keys: [\"${AIPRISE_API_KEY}\"]}}\nflows:\n")
	return source + "  - name: kyc\n    connection: template\n    product: 0\n    options:" + options + "\n"
}

// TestOptionsAreTheSameAsJSON writes the same twice.
func TestOptionsAreTheSameAsJSON(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ yaml, json string }{
		"nothing":                      {" {}", ""},
		"text":                         {" {a: b, c: 'd', e: \"f\\n\\u00fc\\U0001F600\"}", `{"a":"b","c":"d","e":"f\nü😀"}`},
		"blocks of text":               {"\n      a: |\n        one\n         two\n      b: >-\n        three\n        four", `{"a":"one\n two\n","b":"three four"}`},
		"text with marks of HTML":      {" {a: '<b>&amp;</b>'}", `{"a":"<b>&amp;</b>"}`},
		"quoted numbers":               {" {a: '1', b: \"2.0\", c: '0x10', d: '+1'}", `{"a":"1","b":"2.0","c":"0x10","d":"+1"}`},
		"numbers":                      {" {a: 0, b: -7, c: 1.50, d: -0.0, e: 1e6, f: 2.5E-3, g: 123456789012345678901234567890}", `{"a":0,"b":-7,"c":1.50,"d":-0.0,"e":1e6,"f":2.5E-3,"g":123456789012345678901234567890}`},
		"truth":                        {" {a: true, b: False, c: 'true', d: TRUE}", `{"a":true,"b":false,"c":"true","d":true}`},
		"words that once were truth":   {" {a: yes, b: NO, c: on, d: y}", `{"a":"yes","b":"NO","c":"on","d":"y"}`},
		"null on purpose":              {" {a: null, b: ~, c: 'null', d: ''}", `{"a":null,"b":null,"c":"null","d":""}`},
		"dates":                        {" {a: 2026-03-01, b: 2026-03-01T12:00:00Z}", `{"a":"2026-03-01","b":"2026-03-01T12:00:00Z"}`},
		"text that begins with digits": {" {a: 1.2.3, b: 12:30, c: 4f1d, d: 1e, e: '007'}", `{"a":"1.2.3","b":"12:30","c":"4f1d","d":"1e","e":"007"}`},
		"lists and mappings":           {"\n      b: [1, [], {}, {z: 1, a: [x]}]\n      a:\n        - - deep", `{"a":[["deep"]],"b":[1,[],{},{"a":["x"],"z":1}]}`},
		"quoted and odd keys":          {" {'1': a, \"true\": b, a.b: c, 'a b': d, 'null': e, 2026-03-01: f}", `{"1":"a","2026-03-01":"f","a b":"d","a.b":"c","null":"e","true":"b"}`},
		"part of a reference":          {" {a: 'x${HOME}', b: '$HOME', c: 'file:/etc/passwd'}", `{"a":"x${HOME}","b":"$HOME","c":"file:/etc/passwd"}`},
		"a value that looks like <<":   {" {a: <<}", `{"a":"<<"}`},
	} {
		t.Run(name+" stays what it is", func(t *testing.T) {
			t.Parallel()
			if got := string(parse(t, optionsWith(t, test.yaml)).Flows[1].Options); got != test.json {
				t.Errorf("got  %s\nwant %s", got, test.json)
			}
		})
	}
}

func TestOptionsHaveASize(t *testing.T) {
	t.Parallel()
	// {"a":"…"} is 8 bytes around the text.
	const most, around = 16 << 10, 8
	sized := func(size int) string { return " {a: " + strings.Repeat("x", size-around) + "}" }
	t.Run("16 KiB are accepted", func(t *testing.T) {
		t.Parallel()
		if got := len(parse(t, optionsWith(t, sized(most))).Flows[1].Options); got != most {
			t.Errorf("got %d bytes", got)
		}
	})
	t.Run("a byte more is refused", func(t *testing.T) {
		t.Parallel()
		got := problemsOf(t, []byte(optionsWith(t, sized(most+1))), "f.yaml")
		want := "f.yaml:29: flows[1].options: has " + strconv.Itoa(most+1) + " bytes as JSON, but may have at most 16384; shorten it\n"
		if got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	})
}

// TestOptionsOfBrokenConnections proves that a flow is judged only where
// somebody can.
func TestOptionsOfBrokenConnections(t *testing.T) {
	t.Parallel()
	source := optionsWith(t, " {bad: 1}")
	for name, test := range map[string]struct{ old, replacement, want string }{
		"an unknown provider": {"provider: aiprise", "provider: aiprize", `connections[1].provider: there is no provider "aiprize"`},
		"an unusable adapter": {"provider: aiprise", "provider: list", "connections[1].settings: cannot be read"},
	} {
		t.Run(name+" is the only problem", func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, []byte(replaceOnce(t, source, test.old, test.replacement)), "f.yaml")
			if !strings.Contains(got, test.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("got:\n%s\nwant only:\n%s", got, test.want)
			}
		})
	}
	t.Run("settings with a problem still judge", func(t *testing.T) {
		t.Parallel()
		_, err := config.Parse([]byte(replaceOnce(t, source, `["${AIPRISE_API_KEY}"]`, "[]")), "f.yaml", registry(), false)
		if err == nil || !strings.Contains(err.Error(), "settings.api_keys: is missing") || !strings.Contains(err.Error(), "flows[1].options.bad: is not known") {
			t.Errorf("got %v", err)
		}
	})
}
