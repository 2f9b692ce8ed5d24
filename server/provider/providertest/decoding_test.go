package providertest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

func TestTextsOfANoticeThatCannotBeKeptAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		notice provider.Notice
		faults int
	}{
		"nothing said":                      {provider.Notice{}, 0},
		"a short status":                    {provider.Notice{ProviderStatus: "COMPLETED/é", UnknownStatus: "?"}, 0},
		"a status as long as may be":        {provider.Notice{ProviderStatus: strings.Repeat("é", 100)}, 0},
		"a status that is too long":         {provider.Notice{ProviderStatus: strings.Repeat("é", 101)}, 1},
		"a status with a line break":        {provider.Notice{ProviderStatus: "a\nb"}, 1},
		"a status that turns the text":      {provider.Notice{ProviderStatus: "a\u202eb"}, 1},
		"an unknown status with an escape":  {provider.Notice{UnknownStatus: "\x1b[31m"}, 1},
		"an unknown status that is too big": {provider.Notice{UnknownStatus: strings.Repeat("x", 101)}, 1},
		"a status with a NUL":               {provider.Notice{ProviderStatus: "a\x00"}, 2},
		"a status of no encoding":           {provider.Notice{ProviderStatus: "a\xff"}, 1},
		"a dedupe key with a NUL":           {provider.Notice{DedupeKey: "a\x00"}, 1},
		"a field's name of no encoding":     {provider.Notice{UnknownFields: []string{"a", "\xff"}}, 1},
		"a NUL in each text of the event": {provider.Notice{Event: verification.Event{
			VerificationID: "\x00", Product: "\x00", Keys: []string{"\x00"}, Refs: []string{"\x00"}, ReasonCodes: []string{"\x00"},
		}}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if faults := textFaults(c.notice); len(faults) != c.faults {
				t.Errorf("got %s, want %d", fmt.Sprintf("%q", faults), c.faults)
			}
		})
	}
}
