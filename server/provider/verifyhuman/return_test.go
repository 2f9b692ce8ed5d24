package verifyhuman

import (
	"net/url"
	"strings"
	"testing"
)

func TestReturnRefTakesOnlyAPlainVerificationID(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ query, want string }{
		"the id that a webhook would carry": {"verification_id=ver_demo0001", "verification:ver_demo0001"},
		"nothing appended":                  {"", ""},
		"an empty id":                       {"verification_id=", ""},
		"a control character":               {"verification_id=a%00b", ""},
		"too long":                          {"verification_id=" + strings.Repeat("x", 201), ""},
		"no UTF-8":                          {"verification_id=%ff", ""},
		"another parameter":                 {"token=abc", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query, err := url.ParseQuery(c.query)
			if err != nil {
				t.Fatal(err)
			}
			if got := (*adapter)(nil).ReturnRef(query); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
