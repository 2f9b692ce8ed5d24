package config

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/verigate/verigate/server/verification"
)

const (
	maxAudiences = 10
	maxAudience  = 256
	// clientTokenAudience is the audience of the gateway's own client tokens:
	// one kind of token must never pass for the other.
	clientTokenAudience = "verigate-client"
	claimShape          = "1 to 64 letters, digits, _, :, /, . or -"
)

var claimPattern = regexp.MustCompile(`^[A-Za-z0-9_:/.-]{1,64}$`)

// EndUsers is an issuer whose users may call with their own access tokens.
type EndUsers struct {
	// Scope is the project and environment that its users belong to.
	Scope verification.Scope
	// Issuer is compared exactly with a token's iss.
	Issuer string
	// Audiences are what a token's aud must name one of; there is at least one.
	Audiences []string
	// JWKSURL is where the issuer's keys are; empty to discover it.
	JWKSURL string
	// Algorithms are the allowed ones, all of them asymmetric; there is at least
	// one. Their names are those of JWS (RFC 7518, section 3.1, and RFC 8037).
	Algorithms []string
	// SubjectClaim is the claim that names the subject.
	SubjectClaim string
}

func defaultAlgorithms() []string { return []string{"RS256", "ES256"} }

// asymmetric are the algorithms that an issuer may sign with: those whose
// verifier cannot sign.
func asymmetric() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

func (c *checker) endUsers() []EndUsers {
	built := make([]EndUsers, 0, len(c.file.EndUsers))
	scopes, tokens := map[string]string{}, map[string]string{}
	for i := range c.file.EndUsers {
		entry, path := &c.file.EndUsers[i], element("end_users", i)
		scope := verification.Scope{Project: entry.Project, Environment: verification.Environment(entry.Environment)}
		c.entryScope(scopes, scope, path, scopeUse{
			single: "a project and environment have one issuer, because the subjects of two could be the same",
			idle:   "its users could start nothing",
		})
		c.issuer(entry, path)
		c.audiences(tokens, entry, path)
		c.algorithms(entry, path)
		c.matches(path+".subject_claim", entry.SubjectClaim, claimPattern, claimShape)
		built = append(built, EndUsers{
			Scope: scope, Issuer: entry.Issuer, Audiences: entry.Audiences, JWKSURL: entry.JWKSURL,
			Algorithms: entry.Algorithms, SubjectClaim: entry.SubjectClaim,
		})
	}
	return built
}

func (c *checker) issuer(entry *endUsersEntry, path string) {
	if c.required(path+".issuer", entry.Issuer, "write the iss of the tokens, such as https://auth.example.com/") {
		c.identity(path+".issuer", entry.Issuer)
		if strings.Contains(entry.Issuer, "?") {
			c.report.checkf(path+".issuer", "must not have a query; remove the ? and what follows")
		}
	}
	if entry.JWKSURL != "" {
		c.identity(path+".jwks_url", entry.JWKSURL)
	}
}

// identity checks a URL that belongs to an issuer.
func (c *checker) identity(path, raw string) {
	c.length(path, raw, maxURL)
	if _, problem := parseURL(raw, c.development); problem != nil {
		c.report.checkf(path, "%v", problem)
	}
	if strings.Contains(raw, "#") {
		c.report.checkf(path, "must not have a fragment; remove the # and what follows")
	}
}

// audiences checks whom tokens must be for. tokens maps issuer and audience to
// the entry that takes them: a token that two entries took would belong to two
// environments.
func (c *checker) audiences(tokens map[string]string, entry *endUsersEntry, path string) {
	list := path + ".audiences"
	issuer := cmp.Or(entry.Issuer, path)
	if n := len(entry.Audiences); n == 0 {
		c.report.checkf(list, "is missing; list what the aud of your users' tokens says, such as verigate")
	} else if n > maxAudiences {
		c.report.checkf(list, "has %d entries, but may have at most %d", n, maxAudiences)
	}
	for i, audience := range entry.Audiences {
		at := element(list, i)
		switch {
		case c.report.unread(at):
		case audience == "":
			c.report.checkf(at, "is empty; write what the aud of your users' tokens says")
		case audience == clientTokenAudience:
			c.report.checkf(at, "must not be %s: that is the audience of the gateway's own client tokens; have your issuer use another", clientTokenAudience)
		default:
			c.length(at, audience, maxAudience)
			c.unique(tokens, issuer+"\n"+audience, audience, at, "", "remove one: a token of an issuer must belong to one entry only")
		}
	}
}

func (c *checker) algorithms(entry *endUsersEntry, path string) {
	list := path + ".algorithms"
	if len(entry.Algorithms) == 0 {
		c.report.checkf(list, "is empty; list at least one, or remove the key for %s", strings.Join(defaultAlgorithms(), " and "))
	}
	seen := map[string]string{}
	for i, algorithm := range entry.Algorithms {
		at := element(list, i)
		switch {
		case strings.EqualFold(algorithm, "none"):
			c.report.checkf(at, "none is no signature: anybody could write such a token; write what your issuer signs with, such as RS256")
		case strings.HasPrefix(strings.ToUpper(algorithm), "HS"):
			c.report.checkf(at, "%s signs with a shared secret: whoever can check such a token can forge it; write an algorithm with a public key, such as RS256",
				quote(algorithm))
		case !slices.Contains(asymmetric(), algorithm):
			c.report.checkf(at, "%s is not an algorithm that tokens may be signed with; %s", quote(algorithm), oneOf(algorithm, asymmetric()))
		default:
			c.unique(seen, algorithm, algorithm, at, "", "remove one")
		}
	}
}
