package edge_test

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
)

func TestUnauthentic(t *testing.T) {
	t.Parallel()
	t.Run("is recognised and says the reason", func(t *testing.T) {
		t.Parallel()
		err := edge.Unauthentic("header %s is missing", "X-Signature")
		if !errors.Is(err, provider.ErrUnauthentic) || err.Error() != "not authentic: header X-Signature is missing" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("keeps an error that is the reason", func(t *testing.T) {
		t.Parallel()
		reason := errors.New("the environment is another")
		err := edge.Unauthentic("%w", reason)
		if !errors.Is(err, provider.ErrUnauthentic) || !errors.Is(err, reason) || err.Error() != "not authentic: the environment is another" {
			t.Errorf("got %v", err)
		}
	})
}

func TestHeaderMAC(t *testing.T) {
	t.Parallel()
	digits := strings.Repeat("0a", 32)
	for name, c := range map[string]struct {
		prefix string
		values []string
		want   string
	}{
		"digits":                        {"", []string{digits}, ""},
		"digits in upper case":          {"", []string{strings.ToUpper(digits)}, ""},
		"digits behind a prefix":        {"sha256=", []string{"sha256=" + digits}, ""},
		"no header":                     {"", nil, "is missing"},
		"the header twice":              {"", []string{digits, digits}, "more than once"},
		"no prefix":                     {"sha256=", []string{digits}, "does not begin with sha256="},
		"a prefix in another case":      {"sha256=", []string{"SHA256=" + digits}, "does not begin with sha256="},
		"another prefix":                {"sha256=", []string{"sha1=" + digits}, "does not begin with sha256="},
		"a prefix where there is none":  {"", []string{"sha256=" + digits}, "64 hex digits"},
		"a prefix alone":                {"sha256=", []string{"sha256="}, "64 hex digits"},
		"an empty value":                {"", []string{""}, "64 hex digits"},
		"a space in front":              {"", []string{" " + digits}, "64 hex digits"},
		"a space behind":                {"", []string{digits + " "}, "64 hex digits"},
		"a digit too few":               {"", []string{digits[1:]}, "64 hex digits"},
		"two digits too few":            {"", []string{digits[2:]}, "64 hex digits"},
		"two digits too many":           {"", []string{digits + "00"}, "64 hex digits"},
		"letters that are no hex digit": {"", []string{strings.Repeat("g", 64)}, "64 hex digits"},
		"two signatures in one line":    {"", []string{digits + "," + digits}, "64 hex digits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mac, err := edge.HeaderMAC(http.Header{"X-Signature": c.values}, "X-SIGNATURE", c.prefix)
			if c.want == "" {
				if err != nil || hex.EncodeToString(mac) != digits {
					t.Errorf("got %x, %v", mac, err)
				}
				return
			}
			if mac != nil || !errors.Is(err, provider.ErrUnauthentic) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "X-SIGNATURE") {
				t.Errorf("got %x, %v, want ErrUnauthentic that says %q of the header", mac, err, c.want)
			}
			if strings.Contains(err.Error(), digits) {
				t.Errorf("the error repeats the signature: %v", err)
			}
		})
	}
}

func TestOnlyHeader(t *testing.T) {
	t.Parallel()
	header := http.Header{"One": {"1"}, "Empty": {""}, "Two": {"1", "1"}}
	for name, want := range map[string]struct {
		value string
		there bool
		fails bool
	}{
		"one": {"1", true, false}, "Empty": {"", true, false}, "none": {"", false, false}, "Two": {"", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			value, there, err := edge.OnlyHeader(header, name)
			if value != want.value || there != want.there || errors.Is(err, provider.ErrUnauthentic) != want.fails {
				t.Errorf("got %q, %t, %v", value, there, err)
			}
		})
	}
}

func TestBodyKeyFollowsTheBytes(t *testing.T) {
	t.Parallel()
	// The SHA-256 of the test message, by another program.
	const want = "sha256:e6e325194c7bbae415867343894d1d24f8b80e05f64e4b6da985cc5b50ec2fa5"
	if got := edge.BodyKey([]byte(`{"event":"test.ping"}`)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if edge.BodyKey([]byte("{\"event\":\"test.ping\"}\n")) == want {
		t.Error("another body has the same key")
	}
}
