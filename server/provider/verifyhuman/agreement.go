package verifyhuman

import (
	"net/http"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
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
			return edge.Unauthentic("header %s is not the connection's environment, %s", headerEnvironment, expected)
		}
	}
	// What is not JSON, or ambiguous, is empty here: Decode calls it unreadable,
	// and nothing acts on it.
	top, _ := edge.Parse(w.Body)
	if top.Present(keyEnvironment) && !top.Is(keyEnvironment, expected) {
		return edge.Unauthentic("%s in the body is not the connection's, %s", keyEnvironment, expected)
	}
	if err := agree(w.Header, headerEventID, top, keyID); err != nil {
		return err
	}
	return agree(w.Header, headerEvent, top, eventNameKey(top))
}

// eventNameKey is where the body names its event; Decode refuses a body that
// does so twice.
func eventNameKey(top edge.Object) string {
	if top.Present(keyType) {
		return keyType
	}
	return keyEvent
}

func agree(header http.Header, name string, top edge.Object, key string) error {
	if !top.Present(key) {
		return nil
	}
	for _, value := range header.Values(name) {
		if !top.Is(key, value) {
			return edge.Unauthentic("header %s and %s in the body disagree", name, key)
		}
	}
	return nil
}
