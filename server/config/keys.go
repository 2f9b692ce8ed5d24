package config

import (
	"regexp"

	"github.com/verigate/verigate/server/secret"
)

// minKeySecret is the least size of a key in bytes: that of the HMAC-SHA256
// which client tokens are signed with, and of a 256-bit encryption key.
const minKeySecret = 32

var keyIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// Key is one key among several that take turns.
type Key struct {
	// ID is written into whatever the key signs or seals, so that the right key
	// is found again.
	ID string
	// Secret has at least 32 bytes.
	Secret secret.Value
}

// keys checks a list of keys. why says what their ids are for.
func (c *checker) keys(list string, entries []keyEntry, why string) []Key {
	if len(entries) == 0 {
		c.report.checkf(list, "is missing; list at least one key with an id and a secret")
	}
	built := make([]Key, 0, len(entries))
	seen := map[string]string{}
	for i, entry := range entries {
		path := element(list, i)
		if c.matches(path+".id", entry.ID, keyIDPattern, "1 to 32 letters, digits, - or _") {
			c.unique(seen, entry.ID, entry.ID, path, "id", why)
		}
		switch {
		case entry.Secret.Empty():
			c.report.checkf(path+".secret", "is missing; write a reference, ${ENV_NAME} or file:/path")
		case len(entry.Secret.Reveal()) < minKeySecret:
			c.report.checkf(path+".secret", "is too short: it must have at least %d bytes; make one with openssl rand -base64 32", minKeySecret)
		}
		built = append(built, Key(entry))
	}
	return built
}

// encryptionKeys refuses a secret that signs client tokens too: whoever gets
// hold of it would forge tokens and read deliveries at once.
func (c *checker) encryptionKeys() []Key {
	keys := c.keys("encryption.keys", c.file.Encryption.Keys, "stored deliveries name their key by it")
	signing := map[string]string{}
	for i, entry := range c.file.ClientTokens.Keys {
		signing[entry.Secret.Reveal()] = element("client_tokens.keys", i)
	}
	for i, key := range keys {
		if shared, taken := signing[key.Secret.Reveal()]; taken && !key.Secret.Empty() {
			c.report.checkf(element("encryption.keys", i)+".secret",
				"is the same secret as that of %s on line %d; one secret must not serve two purposes: make another with openssl rand -base64 32",
				shared, c.report.lineOf(shared+".secret"))
		}
	}
	return keys
}
