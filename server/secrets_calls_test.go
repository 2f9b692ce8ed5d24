package server_test

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/provider"
)

// providers are webhooks of every kind, and the way back.
func (m *marked) providers() {
	m.t.Helper()
	id, clientToken := m.begun("-providers")
	done, failure := m.legs(id)
	nonce := strings.Split(done, "/")[2]
	m.remember("a way back's nonce", nonce, nil)
	for _, leg := range []string{done, failure, "/return/" + markedNonce} {
		m.request(http.MethodGet, m.url+leg+"?name="+markedQuery, "")
	}
	m.hook(markedParked+"1", id, markedName)
	m.hook(markedParked+"1", id, markedName)
	m.hook(markedParked+"2", "nobody", markedParked)
	m.hookText(`{"`+markedUnreadable+`":`, fakeSignature([]byte(`{"`+markedUnreadable+`":`)))
	m.hookText(`{"name":"`+markedForged+`"}`, markedSignature)
	m.request(http.MethodPost, m.webhooks+"/webhooks/"+markedPath, "{}", "Content-Type: application/json")
	m.request(http.MethodPost, m.webhooks+"/webhooks/vh", `{"name":"`+markedForged+`"}`, "Content-Type: application/json",
		"X-Webhook-Signature: sha256="+markedSignature)
	for _, a := range callerAttacks() {
		if a.aimed {
			d := m.door(protocols()[0])
			m.answers.WriteString(d.knock(a.descriptor(m.t), "Bearer "+clientToken, a.aim(target{id: id, reference: markedReference + "-providers"})))
		}
	}
	hosted := m.ask(m.key, "StartVerification", with(wish(markedSubject, "-hosted"), "flow", "hosted"))
	page, _ := hosted["hostedUrl"].(string)
	m.complete(page, "pass")
	if d := m.settled(); !d.OK() {
		m.t.Errorf("the emulator's webhook was answered %d", d.StatusCode)
	}
}

// strangersCalls are calls with credentials that are not good, and paths that
// are not there.
func (m *marked) strangersCalls() {
	m.t.Helper()
	elsewhere := m.users.claimsOf(markedUser, time.Hour)
	elsewhere["aud"] = markedCredential
	for _, credential := range []string{
		markedCredential, "vg_test_0011223344556677_" + markedGuess, "vg_test_" + keyID(m.key) + "_" + markedGuess, "vg_" + markedGuess,
		m.users.sign(m.users.claimsOf(markedUser, -time.Hour)), m.users.sign(elsewhere), m.users.forge(elsewhere),
		m.users.sign(m.users.claimsOf(markedUnnamed+long(300), time.Hour)), m.brokens.token(markedUser),
	} {
		m.ask(credential, "ListVerifications", nil)
	}
	post := func(path string, lines ...string) {
		m.request(http.MethodPost, m.url+path, "{}", append(lines, "Content-Type: application/json")...)
	}
	post(service+markedProcedure, "Authorization: Bearer "+m.key)
	post("/verigate.v1."+markedProcedure+"/X", "Authorization: Bearer "+m.key)
	post(service+"ListVerifications?"+markedQuery, "Authorization: Basic "+markedCredential)
	post(service+"ListVerifications", "Authorization: Bearer "+m.key, "Origin: https://"+markedBadRedirect+".test", "Cookie: "+markedCredential)
	m.request(http.MethodGet, m.url+"/"+markedQuery, "")
}

// operators are the operator's calls, good and bad.
func (m *marked) operators() {
	m.t.Helper()
	made := m.ask(m.operatorKey, "CreateApiKey", map[string]any{"name": "checkout", "scopes": []string{"verifications:read"}})
	text, _ := made["secret"].(string)
	rotated := m.ask(m.operatorKey, "RotateApiKey", map[string]any{"id": keyID(text), "overlap": "60s"})
	next, _ := rotated["secret"].(string)
	for what, key := range map[string]string{"a created key": text, "a rotated key": next} {
		m.remember(what, strings.SplitN(key, "_", 4)[3], map[string]string{inAnswers: shownOnce})
	}
	m.ask(m.operatorKey, "RevokeApiKey", map[string]any{"id": keyID(next)})
	m.ask(m.operatorKey, "ListApiKeys", nil)
	m.ask(m.operatorKey, "EraseSubject", map[string]any{"subject": markedUnnamed, "reason": "by " + markedUnnamed})
	m.ask(m.operatorKey, "EraseSubject", map[string]any{"subject": markedUnnamed, "reason": markedTicket})
	m.ask(m.operatorKey, "ListAuditEntries", map[string]any{"pageToken": markedPageToken})
}

// echoing are settings whose adapter refuses them with everything that it
// knows, wrapped as adapters do.
type echoing struct{ fakeSettings }

func (echoing) Open(provider.Deps) (provider.Provider, error) {
	return nil, errors.New("cannot be opened")
}

// reloads are a good one and two bad ones. Their errors are for the log.
func (m *marked) reloads() {
	m.t.Helper()
	m.reload()
	file := "public_url: " + markedSetting + "\ndatabase_url: " + markedSetting + "\nclient_tokens: {keys: [{id: k, secret: " + markedSetting + "}]}\n" +
		"encryption: {keys: [{id: k, secret: 'file:/" + "dev/null'}]}\nconnections:\n  - {name: c, provider: fake, api_key: " + markedSetting + "}\n"
	bad := []func() (*config.Config, error){
		func() (*config.Config, error) {
			return config.Parse([]byte(file), "verigate.yaml", provider.Registry{"fake": func() provider.Settings { return &echoing{} }}, false)
		},
		func() (*config.Config, error) {
			cfg := *m.options.Config
			cfg.Connections = []config.Connection{{Name: "refused", Scope: shopTest(), Provider: "fake", Settings: echoing{}}}
			return &cfg, nil
		},
	}
	for _, load := range bad {
		if err := m.server.ReloadFrom(m.t.Context(), load); err == nil {
			m.t.Error("a bad configuration was taken")
		}
	}
}

// outage is everything again while the database is away.
func (m *marked) outage() {
	m.t.Helper()
	id, clientToken := m.begun("-outage")
	done, _ := m.legs(id)
	m.line.cut()
	m.ask(m.key, "StartVerification", wish(markedSubject, "-away"))
	m.ask(clientToken, "GetVerification", map[string]any{"id": id})
	m.ask(m.operatorKey, "EraseSubject", map[string]any{"subject": markedSubject, "reason": markedTicket})
	m.hook(markedParked+"3", id, markedName)
	m.request(http.MethodGet, m.url+done+"?"+markedQuery, "")
	m.request(http.MethodGet, m.url+"/readyz", "")
	m.line.mend()
	eventually(m.t, "the database is back", func() bool { return m.call(http.MethodGet, "/readyz", "").status == http.StatusOK })
}
