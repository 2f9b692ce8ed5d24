package config_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/verification"
)

// endUsers returns minimal.yaml with one entry that has more keys.
func endUsers(t *testing.T, issuer, more string) string {
	t.Helper()
	return minimalWith(t, fmt.Sprintf("end_users:\n  - project: acme\n    environment: live\n    issuer: %q\n%s", issuer, more))
}

func TestAnIssuerFillsInTheDefaults(t *testing.T) {
	t.Parallel()
	want := []config.EndUsers{{
		Scope:  verification.Scope{Project: "acme", Environment: verification.Live},
		Issuer: "https://auth.example.com/", Audiences: []string{"verigate"},
		Algorithms: []string{"RS256", "ES256"}, SubjectClaim: "sub",
	}}
	if got := parse(t, endUsers(t, "https://auth.example.com/", "    audiences: [verigate]")).EndUsers; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAnIssuerIsKeptAsItIsWritten(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{
		"https://auth.example.com", "https://auth.example.com/", "https://Auth.Example.com:443/Realms/A//", "HTTPS://auth.example.com/%41",
	} {
		t.Run(issuer+" is compared exactly", func(t *testing.T) {
			t.Parallel()
			if got := parse(t, endUsers(t, issuer, "    audiences: [verigate]")).EndUsers[0].Issuer; got != issuer {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestEverySignatureWithAPublicKeyIsAllowed(t *testing.T) {
	t.Parallel()
	want := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	got := parse(t, endUsers(t, "https://auth.example.com", "    audiences: [verigate]\n    algorithms: ["+strings.Join(want, ", ")+"]\n"+
		"    subject_claim: https://example.com/user_id:1\n    jwks_url: https://auth.example.com/keys?policy=a")).EndUsers[0]
	if !slices.Equal(got.Algorithms, want) || got.SubjectClaim != "https://example.com/user_id:1" || got.JWKSURL != "https://auth.example.com/keys?policy=a" {
		t.Errorf("got %+v", got)
	}
}

func TestNoAlgorithmIsAllowedThatACheckerCouldSignWith(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"none", "None", "nOnE", "HS256", "HS384", "HS512", "hs256", "", "RS1", "dir", "A256KW", "ES256K", "*"} {
		t.Run(algorithm+" is refused", func(t *testing.T) {
			t.Parallel()
			source := endUsers(t, "https://auth.example.com", "    audiences: [verigate]\n    algorithms: [RS256, '"+algorithm+"']")
			for _, development := range []bool{true, false} {
				_, err := config.Parse([]byte(source), "f.yaml", registry(), development)
				if err == nil || !strings.HasPrefix(err.Error(), "f.yaml:30: end_users[0].algorithms[1]: ") || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

func TestIssuersThatAreRefused(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]string{
		"":                                      "is missing; write the iss of the tokens, such as https://auth.example.com/",
		"auth.example.com":                      "is not a URL",
		"http://auth.example.com":               "must begin with https://",
		"http://127.0.0.1:8080":                 "must begin with https://",
		"https://user@auth.example.com":         "must not contain a user name or password",
		"https://auth.example.com/?":            "must not have a query; remove the ? and what follows",
		"https://auth.example.com/?a=b":         "must not have a query; remove the ? and what follows",
		"https://auth.example.com/#":            "must not have a fragment; remove the # and what follows",
		"https://auth.example.com:0/":           "has a port that does not exist",
		"https://" + strings.Repeat("a/", 1100): "but must have at most 2048",
	} {
		t.Run("the issuer "+issuer[:min(len(issuer), 40)]+" is refused", func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, []byte(endUsers(t, issuer, "    audiences: [verigate]")), "f.yaml")
			if !strings.HasPrefix(got, "f.yaml:28: end_users[0].issuer: ") || !strings.Contains(got, want) || strings.Count(got, "\n") != 1 {
				t.Errorf("got:\n%s\nwant one problem with:\n%s", got, want)
			}
		})
	}
}

func TestATokenBelongsToOneEntryOnly(t *testing.T) {
	t.Parallel()
	two := func(first, second string) []byte {
		return []byte(minimalWith(t, "end_users:\n"+
			"  - {project: acme, environment: live, issuer: 'https://auth.example.com', audiences: ["+first+"]}\n"+
			"  - {project: acme, environment: test, issuer: 'https://auth.example.com', audiences: ["+second+"]}"))
	}
	withTest := func(source []byte) []byte {
		return []byte(replaceOnce(t, string(source), "flows:", "  - {name: t, project: acme, environment: test, provider: loose}\nflows:"))
	}
	t.Run("two audiences of one issuer keep live and test apart", func(t *testing.T) {
		t.Parallel()
		if got := parse(t, string(withTest(two("verigate", "verigate-test")))).EndUsers; len(got) != 2 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("one audience of one issuer for live and test is refused", func(t *testing.T) {
		t.Parallel()
		want := `f.yaml:28: end_users[1].audiences[1]: "verigate" is already used by end_users[0].audiences[0] on line 27; ` +
			"remove one: a token of an issuer must belong to one entry only\n"
		if got := problemsOf(t, withTest(two("verigate", "other, verigate")), "f.yaml"); got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	})
	t.Run("an audience of 257 characters is refused", func(t *testing.T) {
		t.Parallel()
		got := problemsOf(t, withTest(two(strings.Repeat("ü", 257), strings.Repeat("ü", 256))), "f.yaml")
		if want := "f.yaml:27: end_users[0].audiences[0]: has 257 characters, but must have at most 256\n"; got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	})
}
