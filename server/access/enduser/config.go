package enduser

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/verigate/verigate/server/verification"
)

// Config is one issuer whose users may call.
type Config struct {
	// Scope is where the issuer's users belong.
	Scope verification.Scope
	// Issuer is the exact `iss` of its tokens: an https URL without query and
	// fragment (OpenID Connect Core 1.0, section 2); http only on loopback, for
	// development.
	Issuer string
	// Audiences are the names of this API at the issuer, at least one; a token
	// must name one of them.
	Audiences []string
	// JWKSURL is where the issuer's keys are. Empty: what the discovery document
	// at Issuer says (OpenID Connect Discovery 1.0, section 4).
	JWKSURL string
	// Algorithms are the signature algorithms that are allowed, at least one of
	// RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 and EdDSA.
	Algorithms []string
	// SubjectClaim is the claim that becomes the subject; empty means `sub`.
	SubjectClaim string
}

// Kinds of public keys. The names of the elliptic curves are crypto/elliptic's.
const (
	kindRSA     = "RSA"
	kindP256    = "P-256"
	kindP384    = "P-384"
	kindP521    = "P-521"
	kindEd25519 = "Ed25519"
)

// keyKinds says on which kind of key an algorithm works (RFC 7518, section 3.1;
// RFC 8037, section 3.1). What is not here is never verified.
var keyKinds = map[string]string{
	"RS256": kindRSA, "RS384": kindRSA, "RS512": kindRSA,
	"PS256": kindRSA, "PS384": kindRSA, "PS512": kindRSA,
	"ES256": kindP256, "ES384": kindP384, "ES512": kindP521,
	"EdDSA": kindEd25519,
}

func (c Config) withDefaults() Config {
	if c.SubjectClaim == "" {
		c.SubjectClaim = "sub"
	}
	c.Audiences = slices.Clone(c.Audiences)
	c.Algorithms = slices.Clone(c.Algorithms)
	return c
}

func (c Config) problem(field, text string) error {
	return fmt.Errorf("end-user tokens of issuer %q: %s: %s", c.Issuer, field, text)
}

func (c Config) validate() error {
	var problems []error
	add := func(field, text string) { problems = append(problems, c.problem(field, text)) }
	if c.Scope.Project == "" || c.Scope.Environment == "" {
		add("scope", "name a project and an environment")
	}
	if err := checkIssuer(c.Issuer); err != nil {
		add("issuer", err.Error())
	}
	if len(c.Audiences) == 0 || slices.Contains(c.Audiences, "") {
		add("audiences", "name at least one, and no empty one: the identifier of this API at the issuer")
	}
	if c.JWKSURL != "" {
		if _, err := parseURL(c.JWKSURL, c.plainAllowed()); err != nil {
			add("jwks_url", err.Error())
		}
	}
	if len(c.Algorithms) == 0 {
		add("algorithms", "allow at least one of "+allAlgorithms())
	}
	for _, name := range c.Algorithms {
		if _, ok := keyKinds[name]; !ok {
			add("algorithms", fmt.Sprintf("%q cannot be allowed, only %s", name, allAlgorithms()))
		}
	}
	return errors.Join(problems...)
}

func allAlgorithms() string { return strings.Join(slices.Sorted(maps.Keys(keyKinds)), ", ") }

func checkIssuer(text string) error {
	u, err := parseURL(text, true)
	if err != nil {
		return err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return errors.New("must have no query")
	}
	return nil
}

// plainAllowed says whether the issuer's documents may come over http from
// loopback: only if the issuer itself is there.
func (c Config) plainAllowed() bool {
	u, err := parseURL(c.Issuer, true)
	return err == nil && u.Scheme == "http"
}

// parseURL reads an absolute https URL, or an http one of loopback where that
// is allowed. Its error says what the text must be and does not repeat it.
func parseURL(text string, plainAllowed bool) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Contains(text, "#") {
		return nil, errors.New("must be an absolute https URL without user name, password and fragment")
	}
	if u.Scheme == "https" || u.Scheme == "http" && plainAllowed && isLoopback(u.Hostname()) {
		return u, nil
	}
	if plainAllowed {
		return nil, errors.New("must be an https URL; http is for loopback only")
	}
	return nil, errors.New("must be an https URL")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
