package aiprise_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/providertest"
)

func TestCheckFlow(t *testing.T) {
	t.Parallel()
	padded := func(size int) string {
		const frame = `{"theme_options":{"a":""}}`
		return `{"theme_options":{"a":"` + strings.Repeat("x", size-len(frame)) + `"}}`
	}
	for name, c := range map[string]struct {
		product, options string
		want             []string
	}{
		"a template and no options":        {templateID, "", nil},
		"all four options":                 {templateID, `{"theme_options":{},"ui_options":{"common":{"default_language":"de"}},"verification_options":{"a":null},"additional_info":[]}`, nil},
		"no options in the object":         {templateID, `{}`, nil},
		"options of exactly 16 KiB":        {templateID, padded(16 << 10), nil},
		"options beyond 16 KiB":            {templateID, padded(16<<10 + 1), []string{"options"}},
		"options that are a list":          {templateID, `[]`, []string{"options"}},
		"options that are null":            {templateID, `null`, []string{"options"}},
		"options that are no JSON":         {templateID, `{`, []string{"options"}},
		"an option twice":                  {templateID, `{"ui_options":{},"ui_options":{}}`, []string{"options"}},
		"a list for the theme":             {templateID, `{"theme_options":[]}`, []string{"options.theme_options"}},
		"a text for the ui":                {templateID, `{"ui_options":"{}"}`, []string{"options.ui_options"}},
		"null for the verification":        {templateID, `{"verification_options":null}`, []string{"options.verification_options"}},
		"an object for the info":           {templateID, `{"additional_info":{}}`, []string{"options.additional_info"}},
		"a key of the request itself":      {templateID, `{"callback_url":"https://evil.example","redirect_uri":"x"}`, []string{"options.callback_url", "options.redirect_uri"}},
		"an option in another letter case": {templateID, `{"UI_options":{}}`, []string{"options.UI_options"}},
		"a template in upper case":         {strings.ToUpper(templateID), "", []string{"product"}},
		"a template in braces":             {"{" + templateID + "}", "", []string{"product"}},
		"a template without hyphens":       {strings.ReplaceAll(templateID, "-", ""), "", []string{"product"}},
		"a template that is a word":        {"kyc", "", []string{"product"}},
		"no template":                      {"", "", []string{"product"}},
		"everything wrong at once":         {"kyc", `{"theme_options":1,"x":2}`, []string{"product", "options.theme_options", "options.x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var checker provider.FlowChecker = good()
			problems := checker.CheckFlow(c.product, "", []byte(c.options))
			if got := providertest.Fields(problems); !slices.Equal(got, c.want) {
				t.Errorf("CheckFlow reports %v, want %v", got, c.want)
			}
			for _, p := range problems {
				if p.Message == "" {
					t.Errorf("%s: no message", p.Field)
				}
			}
		})
	}
}
