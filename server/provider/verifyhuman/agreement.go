package verifyhuman

import (
	"net/http"

	"github.com/verigate/verigate/server/provider"
)

// checkAgreement refuses a webhook whose headers contradict its signed body, or
// whose environment is not the connection's. The headers are signed by nothing,
// so nothing else reads them; they are compared because a contradiction means
// that the message is not as VerifyHuman sent it. What only one side says is no
// contradiction: the flat shape has no event id, the seed document no headers.
func (a *adapter) checkAgreement(w provider.Webhook) error {
	expected := string(a.settings.Environment)
	for _, said := range w.Header.Values(headerEnvironment) {
		if said != expected {
			return unauthentic("header %s is not the connection's environment, %s", headerEnvironment, expected)
		}
	}
	// What is not JSON, or ambiguous, is empty here: Decode calls it unreadable,
	// and nothing acts on it.
	top, _ := parseObject("", w.Body)
	if _, said := top.fields[keyEnvironment]; said && !top.holds(keyEnvironment, expected) {
		return unauthentic("%s in the body is not the connection's, %s", keyEnvironment, expected)
	}
	if err := agree(w.Header, headerEventID, top, keyID); err != nil {
		return err
	}
	return agree(w.Header, headerEvent, top, eventNameKey(top))
}

// eventNameKey is where the body names its event; Decode refuses a body that
// does so twice.
func eventNameKey(top object) string {
	if _, envelope := top.fields[keyType]; envelope {
		return keyType
	}
	return keyEvent
}

func agree(header http.Header, name string, top object, key string) error {
	if _, said := top.fields[key]; !said {
		return nil
	}
	for _, value := range header.Values(name) {
		if !top.holds(key, value) {
			return unauthentic("header %s and %s in the body disagree", name, key)
		}
	}
	return nil
}

// holds reports whether the text under key is exactly want.
func (o object) holds(key, want string) bool {
	text, ok := o.text(key)
	return ok && text == want
}
