package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/verigate/verigate/server"
	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/pgdev/pgtest"
	"github.com/verigate/verigate/server/sandbox"
	"github.com/verigate/verigate/server/verification"
)

// marked is a node with a mark in everything that goes in, and whatever came
// out of it.
type marked struct {
	*lab

	dsn             string
	line            *cable
	password        string
	users, brokens  *issuer
	spans           *tracetest.InMemoryExporter
	operatorKey     string
	errors, answers strings.Builder
	// secrets are texts that came into being on the way.
	secrets []mark
}

func newMarked(t *testing.T) *marked {
	t.Helper()
	m := &marked{dsn: pgtest.New(t), users: newIssuer(t), brokens: newIssuer(t), spans: tracetest.NewInMemoryExporter()}
	m.brokens.fail(true)
	m.line = newCable(t, m.dsn)
	address, err := url.Parse(m.line.dsn)
	if err != nil {
		t.Fatal(err)
	}
	if m.password, _ = address.User.Password(); m.password == "" {
		// A server that asks for none does not mind one.
		m.password = "marked-database-password"
		address.User = url.UserPassword(address.User.Username(), m.password)
	}
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(m.spans))
	m.lab = newLabWith(t, sandbox.Faults{LinkField: true}, func(change func(*config.Config)) *gateway {
		return openWith(t, address.String(), func(c *config.Config) {
			change(c)
			c.EndUsers = []config.EndUsers{m.users.of(shopTest()), m.brokens.of(shopLive())}
			letEndUsersStart(c)
		}, func(o *server.Options) { o.Development, o.Tracer = true, tracer })
	})
	m.operatorKey = m.newOperatorKey(shopTest())
	return m
}

// request sends anything and keeps what is answered, in full.
func (m *marked) request(method, url, body string, lines ...string) answer {
	m.t.Helper()
	a := callAt(m.t, newHTTPClient(m.t, false, ""), method, url, body, lines...)
	text := fmt.Sprintf("%d %v %s\n", a.status, a.header, a.body)
	if a.status >= http.StatusBadRequest {
		m.errors.WriteString(text)
	} else {
		m.answers.WriteString(text)
	}
	return a
}

// ask makes a call in JSON and returns the fields of its answer.
func (m *marked) ask(credential, call string, fields map[string]any) map[string]any {
	m.t.Helper()
	body, err := json.Marshal(fields)
	if err != nil {
		m.t.Fatal(err)
	}
	path := service + call
	if credential == m.operatorKey {
		path = "/verigate.v1.OperatorService/" + call
	}
	a := m.request(http.MethodPost, m.url+path, string(body), "Content-Type: application/json", "Authorization: Bearer "+credential)
	var answered map[string]any
	if err := json.Unmarshal([]byte(a.body), &answered); err != nil {
		m.t.Fatalf("%s: %v in %s", call, err, a.body)
	}
	return answered
}

// remember marks a secret that was just made.
func (m *marked) remember(what, text string, may map[string]string) {
	m.secrets = append(m.secrets, mark{what: what, text: text, may: may})
}

// wish is a start with a mark in every field.
func wish(subject, unique string) map[string]any {
	return map[string]any{
		"flow": "identity", "subject": subject, "reference": markedReference + unique, "idempotencyKey": markedIdempotency + unique,
		"redirectUrl": "myapp://done?" + markedRedirect, "failureRedirectUrl": "myapp://sorry?" + markedRedirect,
		"callbackUrl": "https://backend.example.com/?" + markedCallback, "eventsCallbackUrl": "https://backend.example.com/?" + markedCallback,
		"pageTitle": markedTitle, "successMessage": markedMessage, "failureMessage": markedMessage,
		"metadata": map[string]string{markedKey: markedValue},
	}
}

func with(fields map[string]any, name string, value any) map[string]any {
	fields[name] = value
	return fields
}

// begun starts a verification and returns its id and client token.
func (m *marked) begun(unique string) (id, clientToken string) {
	m.t.Helper()
	started := m.ask(m.key, "StartVerification", wish(markedSubject, unique))
	v, _ := started["verification"].(map[string]any)
	id, _ = v["id"].(string)
	clientToken, _ = started["clientToken"].(string)
	if id == "" || clientToken == "" {
		m.t.Fatalf("it did not start: %v", started)
	}
	return id, clientToken
}

// starts are good, bad, repeated, and by an end user.
func (m *marked) starts() {
	m.t.Helper()
	id, clientToken := m.begun("-starts")
	m.remember("a client token", clientToken[strings.LastIndex(clientToken, ".")+1:], map[string]string{inAnswers: shownOnce})
	m.ask(m.key, "StartVerification", wish(markedSubject, "-starts"))
	for _, bad := range []map[string]any{
		with(wish(markedUnnamed, "-starts"), "flow", "identity"),
		with(wish(markedSubject, "-bad"), "flow", markedFlow),
		with(wish(markedSubject, "-bad"), "redirectUrl", "https://"+markedBadRedirect+".test/"),
		with(wish(markedSubject, "-bad"), "callbackUrl", "http://"+markedBadRedirect+".test/"),
		with(wish(markedUnnamed+long(300), "-bad"), "pageTitle", long(300)),
		with(wish(markedUnnamed+"\n", "-bad"), "metadata", map[string]string{"k": markedUnnamed + "\x00"}),
	} {
		m.ask(m.key, "StartVerification", bad)
	}
	access := m.users.token(markedUser)
	m.remember("an access token", access[strings.LastIndex(access, ".")+1:], nil)
	m.ask(access, "StartVerification", map[string]any{"flow": "identity", "idempotencyKey": markedIdempotency})
	m.ask(access, "StartVerification", map[string]any{"flow": "identity", "subject": markedUnnamed})
	m.ask(access, "GetVerification", map[string]any{"id": id})
	m.ask(clientToken, "GetVerification", map[string]any{"id": id})
	m.ask(m.key, "GetVerification", map[string]any{"reference": markedReference + "-starts"})
	m.ask(m.key, "ListVerifications", map[string]any{"subject": markedSubject})
	m.ask(m.key, "ListVerifications", map[string]any{"subject": markedUnnamed})
	m.ask(m.key, "ListVerifications", map[string]any{"subject": markedSubject, "pageToken": markedPageToken})
	m.ask(m.key, "CancelVerification", map[string]any{"id": id, "reason": markedReason})
}

// faults are what a provider and its adapter can do wrong.
func (m *marked) faults() {
	m.t.Helper()
	cause := errors.New(markedCause)
	for _, fault := range []error{
		cause, verification.NewError(verification.KindUnavailable, "PROVIDER_UNAVAILABLE", "the provider does not answer").WithCause(cause),
	} {
		m.provider.failStarts(fault)
		m.wantFailed(m.ask(m.key, "StartVerification", wish(markedSubject, fmt.Sprintf("-%p", fault))))
	}
	m.provider.failStarts(nil)
	for unique, answer := range map[string]http.HandlerFunc{
		"-500": echo(http.StatusInternalServerError), "-400": echo(http.StatusBadRequest), "-200": echo(http.StatusOK),
		"-302": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host+"/?"+markedLocation+"="+r.Header.Get("Authorization"), http.StatusFound)
		},
		"-cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		m.detour.Store(&answer)
		m.wantFailed(m.ask(m.key, "StartVerification", with(wish(markedSubject, unique), "flow", "hosted")))
	}
	m.detour.Store(nil)
	m.provider.panicWith(markedPanic + labKey)
	m.wantFailed(m.ask(m.key, "StartVerification", wish(markedSubject, "-panic")))
	m.hook(markedPanic, "for-nobody", "")
	m.provider.panicWith(nil)
}

// wantFailed fails unless the answer is an error: then the fault had its effect.
func (m *marked) wantFailed(answered map[string]any) {
	m.t.Helper()
	if answered["code"] == nil {
		m.t.Errorf("it was answered %v, want an error", answered)
	}
}

// echo answers with everything that it was sent.
func echo(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":%q,"message":"%s"}`, fmt.Sprint(r.Header, string(body)), markedFault)
	}
}

// hook sends a signed webhook with marks in it.
func (m *marked) hook(id, about, name string) answer {
	m.t.Helper()
	body, err := json.Marshal(fakeHook{ID: id, Kind: string(verification.Passed), For: about, Name: name})
	if err != nil {
		m.t.Fatal(err)
	}
	return m.hookText(string(body), fakeSignature(body))
}

func (m *marked) hookText(body, signature string) answer {
	m.t.Helper()
	return m.request(http.MethodPost, m.webhooks+"/webhooks/fake?"+markedQuery, body, "Content-Type: application/json",
		fakeHeader+": "+signature, "X-Fake-Note: "+markedHeader, "User-Agent: "+markedAgent)
}
