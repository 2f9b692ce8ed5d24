package config

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/verification"
)

// What callback secrets are made of: the prefix, and base64 of so many bytes
// (Standard Webhooks specification, "Signature scheme").
const (
	callbackSecretPrefix = "whsec_"
	minCallbackKey       = 24
	maxCallbackKey       = 64
	// maxCallbackSecrets bounds the signatures of one message.
	maxCallbackSecrets = 3
	makeCallbackSecret = `echo "whsec_$(openssl rand -base64 32)"`
)

// Callbacks are the secrets that one project and environment signs its
// callbacks with.
type Callbacks struct {
	// Scope is the project and environment whose callbacks they sign.
	Scope verification.Scope
	// Secrets are one to three, each in the form of the Standard Webhooks
	// specification: whsec_ and base64 of 24 to 64 bytes. Every message carries
	// one signature for each of them, the first one's first.
	Secrets []secret.Value
}

func (c *checker) callbacks() []Callbacks {
	built := make([]Callbacks, 0, len(c.file.Callbacks))
	scopes, used := map[string]string{}, c.keySecrets()
	for i := range c.file.Callbacks {
		entry, path := &c.file.Callbacks[i], element("callbacks", i)
		scope := entry.scope()
		c.entryScope(scopes, scope, path, scopeUse{
			single: "list all secrets of a project and environment in one entry",
			idle:   "these secrets would sign nothing",
		})
		c.callbackSecrets(used, entry.Secrets, path+".secrets")
		built = append(built, Callbacks{Scope: scope, Secrets: entry.Secrets})
	}
	return built
}

func (e *callbacksEntry) scope() verification.Scope {
	return verification.Scope{Project: e.Project, Environment: verification.Environment(e.Environment)}
}

// keySecrets maps the gateway's own secrets to where they stand. A callback
// secret is known to a caller's backend, which must not be able to sign client
// tokens or to open deliveries with it.
func (c *checker) keySecrets() map[string]string {
	used := map[string]string{}
	for i, key := range c.file.Encryption.Keys {
		used[key.Secret.Reveal()] = element("encryption.keys", i) + ".secret"
	}
	for i, key := range c.file.ClientTokens.Keys {
		used[key.Secret.Reveal()] = element("client_tokens.keys", i) + ".secret"
	}
	return used
}

// callbackSecrets checks the secrets of one entry. used maps secrets to where
// they stand: whoever has one of another project or environment could forge
// messages of this one.
func (c *checker) callbackSecrets(used map[string]string, secrets []secret.Value, list string) {
	if n := len(secrets); n == 0 {
		c.report.checkf(list, "is missing; list at least one reference to a secret; make one with %s", makeCallbackSecret)
	} else if n > maxCallbackSecrets {
		c.report.checkf(list, "has %d entries, but may have at most %d: the newest first, and those that are being replaced", n, maxCallbackSecrets)
	}
	for i, value := range secrets {
		at := element(list, i)
		if value.Empty() {
			continue // why has been said
		}
		if err := checkCallbackSecret(value); err != nil {
			c.report.checkf(at, "%v", err)
			continue
		}
		if earlier, taken := used[value.Reveal()]; taken {
			c.report.checkf(at, "is the same secret as %s on line %d; one secret must not serve two purposes: remove one of them, or make another with %s",
				earlier, c.report.lineOf(earlier), makeCallbackSecret)
			continue
		}
		used[value.Reveal()] = at
	}
}

// checkCallbackSecret says what is wrong with a secret, and never what it is.
func checkCallbackSecret(value secret.Value) error {
	encoded, ok := strings.CutPrefix(value.Reveal(), callbackSecretPrefix)
	if !ok {
		return fmt.Errorf("refers to something that does not begin with %s; make one with %s", callbackSecretPrefix, makeCallbackSecret)
	}
	// Strict makes one spelling of each key; the decoder would skip line breaks.
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return fmt.Errorf("refers to something that is not base64 after %s; make one with %s", callbackSecretPrefix, makeCallbackSecret)
	}
	if len(key) < minCallbackKey || len(key) > maxCallbackKey {
		return fmt.Errorf("holds %d bytes after %s, but must hold between %d and %d; make one with %s",
			len(key), callbackSecretPrefix, minCallbackKey, maxCallbackKey, makeCallbackSecret)
	}
	return nil
}

// flowCallbacks checks that callbacks of a flow can be signed. scope is the
// flow's, zero when it has no connection.
func (c *checker) flowCallbacks(entry *flowEntry, path string, scope verification.Scope) {
	key := "callback_url"
	if entry.CallbackURL == "" {
		key = "events_callback_url"
	}
	if entry.CallbackURL == "" && entry.EventsCallbackURL == "" || !isScope(scope) || c.report.broken["callbacks"] {
		return
	}
	// An entry that is incomplete itself may be the one that is meant.
	signs := func(e callbacksEntry) bool { return e.scope() == scope || !isScope(e.scope()) }
	if !slices.ContainsFunc(c.file.Callbacks, signs) {
		c.report.checkf(path+"."+key, "needs a secret to sign callbacks with, but callbacks has no entry for the project %s and environment %s; "+
			"add one with a secret, or remove this", scope.Project, scope.Environment)
	}
}
