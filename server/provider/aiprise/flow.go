package aiprise

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
)

// maxOptions bounds a flow's options, in bytes. The bound is ours: AiPrise
// answers 413 to what is too large for it, and documents no size.
const maxOptions = 16 << 10

// The options of a flow: the objects and the list of the same names in
// AiPrise's OpenAPI description, passed through as they are.
const (
	optionTheme          = "theme_options"
	optionUI             = "ui_options"
	optionVerification   = "verification_options"
	optionAdditionalInfo = "additional_info"
)

// optionKinds says how the value of each option begins.
func optionKinds() map[string]byte {
	return map[string]byte{optionTheme: '{', optionUI: '{', optionVerification: '{', optionAdditionalInfo: '['}
}

// CheckFlow judges a flow: its product is the id of an AiPrise template, a
// lower-case UUID, because webhooks are compared with it letter by letter; its
// options are AiPrise's own request fields for the hosted page.
func (s *Settings) CheckFlow(product, hostedURL string, options []byte) []provider.Problem {
	var problems []provider.Problem
	if hostedURL != "" {
		problems = append(problems, provider.Problem{
			Field: "hosted_url", Message: "cannot be used: AiPrise has no page that is the same for everybody; remove it",
		})
	}
	if !isTemplateID(product) {
		problems = append(problems, provider.Problem{
			Field:   "product",
			Message: "must be the id of an AiPrise template, a lower-case UUID such as 4f1d2c3b-0000-4000-8000-0000000000aa",
		})
	}
	_, found := readOptions(options)
	return append(problems, found...)
}

// isTemplateID takes a UUID's canonical form only.
func isTemplateID(product string) bool {
	id, ok := edge.UUID(product)
	return ok && id == product
}

// readOptions returns a flow's options and everything that is wrong with them.
func readOptions(options []byte) (edge.Object, []provider.Problem) {
	if len(options) == 0 {
		return edge.Object{}, nil
	}
	if len(options) > maxOptions {
		return edge.Object{}, []provider.Problem{{
			Field: "options", Message: fmt.Sprintf("is longer than %d bytes; shorten it", maxOptions),
		}}
	}
	parsed, err := edge.Parse(options)
	if err != nil {
		return edge.Object{}, []provider.Problem{{
			Field: "options", Message: "must be an object whose keys are all different",
		}}
	}
	var problems []provider.Problem
	for _, key := range parsed.Keys() {
		if message := optionProblem(parsed, key); message != "" {
			problems = append(problems, provider.Problem{Field: "options." + edge.FieldName(key), Message: message})
		}
	}
	return parsed, problems
}

func optionProblem(options edge.Object, key string) string {
	kinds := optionKinds()
	opening, known := kinds[key]
	switch {
	case !known:
		return "is not known; write one of " + strings.Join(slices.Sorted(maps.Keys(kinds)), ", ")
	case options.IsKind(key, opening):
		return ""
	case opening == '[':
		return "must be a list"
	}
	return "must be an object"
}
