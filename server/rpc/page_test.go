package rpc_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/rpc"
	"github.com/verigate/verigate/server/verification"
)

func lists() map[string]*verigatev1.ListVerificationsRequest {
	return map[string]*verigatev1.ListVerificationsRequest{
		"everything": {},
		"a flow":     {Flow: "identity"},
		"a subject":  {Subject: "identity"},
		"a state":    {States: []verigatev1.VerificationState{1}},
	}
}

func TestAPageTokenComesBackAsItWent(t *testing.T) {
	t.Parallel()
	for name, r := range lists() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			last := uuid.Must(uuid.NewV7())
			token, err := rpc.PageToken(last, rpc.ListFilters(r))
			if err != nil {
				t.Fatal(err)
			}
			r.PageToken, r.PageSize = token, 7
			if got, err := rpc.ParsePageToken(token, rpc.ListFilters(r)); err != nil || got != last {
				t.Errorf("got %v, %v; want %v", got, err, last)
			}
		})
	}
}

func TestAPageTokenOfAnotherListIsRefused(t *testing.T) {
	t.Parallel()
	for from, r := range lists() {
		token, err := rpc.PageToken(uuid.Must(uuid.NewV7()), rpc.ListFilters(r))
		if err != nil {
			t.Fatal(err)
		}
		for to, other := range lists() {
			if from == to {
				continue
			}
			if _, err := rpc.ParsePageToken(token, rpc.ListFilters(other)); verification.KindOf(err) != verification.KindInvalid {
				t.Errorf("the token of %s on %s: %v, want it refused", from, to, err)
			}
		}
	}
}

func TestAChangedPageTokenIsRefused(t *testing.T) {
	t.Parallel()
	r := &verigatev1.ListVerificationsRequest{Flow: "identity"}
	token, err := rpc.PageToken(uuid.Must(uuid.NewV7()), rpc.ListFilters(r))
	if err != nil {
		t.Fatal(err)
	}
	for i := range token {
		other := "A"
		if token[i] == 'A' {
			other = "B"
		}
		changed := token[:i] + other + token[i+1:]
		if _, err := rpc.ParsePageToken(changed, rpc.ListFilters(r)); verification.KindOf(err) != verification.KindInvalid {
			t.Errorf("character %d changed: %v, want it refused", i, err)
		}
		if _, err := rpc.ParsePageToken(token[:i], rpc.ListFilters(r)); i > 0 && verification.KindOf(err) != verification.KindInvalid {
			t.Errorf("cut after %d characters: %v, want it refused", i, err)
		}
	}
	for _, wrong := range []string{token + "A", token + "=", " " + token, strings.ToUpper(token)} {
		if _, err := rpc.ParsePageToken(wrong, rpc.ListFilters(r)); verification.KindOf(err) != verification.KindInvalid {
			t.Errorf("%q: %v, want it refused", wrong, err)
		}
	}
}

// A token that parses is the token of what it parsed to: nothing else does.
func FuzzPageToken(f *testing.F) {
	good, err := rpc.PageToken(uuid.Must(uuid.NewV7()), &verigatev1.ListVerificationsRequest{Flow: "identity"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, "identity")
	f.Add("", "identity")
	f.Add("AAAA", "")
	f.Fuzz(func(t *testing.T, token, flow string) {
		r := &verigatev1.ListVerificationsRequest{Flow: strings.ToValidUTF8(flow, "?")}
		last, err := rpc.ParsePageToken(token, rpc.ListFilters(r))
		if err != nil {
			if verification.KindOf(err) != verification.KindInvalid {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if token == "" {
			return
		}
		if again, err := rpc.PageToken(last, rpc.ListFilters(r)); err != nil || again != token {
			t.Errorf("%q parses to %v, whose token is %q, %v", token, last, again, err)
		}
	})
}
