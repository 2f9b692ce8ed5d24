package main

import (
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
)

// What is wrong with the command line alone is told before any call.
func TestAWrongOperatorsCommandIsToldBeforeAnyCall(t *testing.T) {
	t.Parallel()
	wholeKey := "vg_live_3f9a1c0e77d21b54_" + secretMark
	for _, c := range []struct{ name, line, want string }{
		{"a key without a name", "keys create", "--name: must not be empty"},
		{"a key with an argument", "keys create reports", "flags only"},
		{"a life that is no duration", "keys create --name x --expires-in soon", "--expires-in"},
		{"an overlap that is no duration", "keys rotate 3f9a1c0e77d21b54 --overlap soon", "--overlap"},
		{"a rotation of nothing", "keys rotate", "give one key's public id"},
		{"a revocation of two", "keys revoke 3f9a1c0e77d21b54 4f9a1c0e77d21b54", "give one key's public id"},
		{"a whole key to revoke", "keys revoke " + wholeKey, "the key's public id only"},
		{"a whole key to rotate", "keys rotate " + wholeKey, "the key's public id only"},
		{"the secret of a key to revoke", "keys revoke " + secretMark, "the key's public id only"},
		{"an erasure without yes", "erase --subject u1 --reason ticket-1", "--yes"},
		{"an erasure without a subject", "erase --reason ticket-1 --yes", "--subject and --reason"},
		{"an erasure without a reason", "erase --subject u1 --yes", "--subject and --reason"},
		{"an erasure of bytes that are no text", "erase --subject \xff --reason ticket-1 --yes", "--subject: must be UTF-8"},
		{"a reason that is no text", "erase --subject u1 --reason \xff --yes", "--reason: must be UTF-8"},
		{"a subject that is far too long", "erase --reason ticket-1 --yes --subject " + strings.Repeat("x", 2000), "at most 256 characters"},
		{"a configuration without a project", "keys list --config verigate.yaml", "--project and --environment"},
		{"a database without a project", "audit --database-url postgres://localhost/v", "--project and --environment"},
		{"a project without an environment", "keys list --project acme", "--environment: must be live or test"},
		{"an environment without a project", "keys list --environment live", "--project: must not be empty"},
		{"an environment that is none", "keys list --project acme --environment prod", "--environment: must be live or test"},
		{"both ways at once", "keys list --project acme --environment live --url http://127.0.0.1:1", "Choose one"},
		{"a key for the database", "keys list --project acme --environment live --api-key ${K}", "Choose one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			asked := false
			b.mux.HandleFunc("/verigate.v1.OperatorService/", func(http.ResponseWriter, *http.Request) { asked = true })
			b.want(exitUsage, b.run(strings.Fields(c.line)...), "", c.want)
			if asked {
				t.Error("the server was called")
			}
			if strings.Contains(b.err.String(), secretMark) {
				t.Errorf("a secret is repeated: %s", b.err.String())
			}
		})
	}
}

// What only the gateway can know is told by it, over both ways alike.
func TestWhatTheGatewayRefusesAnOperator(t *testing.T) {
	t.Parallel()
	r := newSite(t).serve(t)
	for _, c := range []struct {
		name, want string
		args       []string
		code       int
	}{
		{
			"a scope that does not exist", "[verifications:write, verifications:read, events:read, operator]",
			[]string{"keys", "create", "--name", "x", "--scope", "verifications:admin"}, exitUsage,
		},
		{"no scope at all", "scopes", []string{"keys", "create", "--name", "x", "--scope", ""}, exitUsage},
		{"the same scope twice", "scopes", []string{"keys", "create", "--name", "x", "--scope", "operator,operator"}, exitUsage},
		{"a life that is too short", "expires_in: must be greater than or equal to 60s", []string{"keys", "create", "--name", "x", "--expires-in", "59s"}, exitUsage},
		{"a life before now", "expires_in", []string{"keys", "create", "--name", "x", "--expires-in=-1h"}, exitUsage},
		{"a name that is too long", "name", []string{"keys", "create", "--name", strings.Repeat("x", 101)}, exitUsage},
		{"a name with a line break", "name", []string{"keys", "create", "--name", "a\nb"}, exitUsage},
		{"a key that is not there", "no such API key", []string{"keys", "revoke", "0123456789abcdef"}, exitNotFound},
		{"the rotation of a key that is not there", "no such API key", []string{"keys", "rotate", "0123456789abcdef"}, exitNotFound},
		{"an overlap that is too long", "overlap", []string{"keys", "rotate", "0123456789abcdef", "--overlap", "721h"}, exitUsage},
		{"an overlap before now", "overlap", []string{"keys", "rotate", "0123456789abcdef", "--overlap=-1s"}, exitUsage},
		{"a reason that tells the subject", "reason: contains the subject", []string{"erase", "--subject", "u1", "--reason", "for U1 himself", "--yes"}, exitUsage},
		{"a reason that is too long", "reason", []string{"erase", "--subject", "u1", "--reason", strings.Repeat("x", 201), "--yes"}, exitUsage},
		{"a subject that is too long", "subject", []string{"erase", "--subject", strings.Repeat("u", 257), "--reason", "t", "--yes"}, exitUsage},
		{"the name of erased subjects", "nothing left to erase", []string{"erase", "--subject", "[erased]", "--reason", "t", "--yes"}, exitUsage},
		{"a page that is too large", "page_size", []string{"audit", "--page-size", "201"}, exitUsage},
		{"a page token of another list", "page_token", []string{"audit", "--page-token", "AAAA"}, exitUsage},
	} {
		for way, run := range ways() {
			t.Run(c.name+" "+way, func(t *testing.T) {
				t.Parallel()
				run(r, t, c.args...).want(t, c.code, "", c.want)
			})
		}
	}
}

func TestAKeyWithoutTheOperatorScopeIsRefusedLikeNone(t *testing.T) {
	t.Parallel()
	r := newSite(t).serve(t)
	var texts []string
	for _, key := range []string{r.backend, "vg_live_0123456789abcdef_unknown", "no-credential"} {
		refused := runBinary(t, r.dir, r.as(r.operator, key), "", "keys", "list").want(t, exitUnauthenticated, "", "--scope operator")
		texts = append(texts, refused.err)
	}
	if texts[0] != texts[1] || texts[0] != texts[2] {
		t.Errorf("the caller can tell them apart:\n%s", strings.Join(texts, "\n"))
	}
	for _, reason := range []string{`"reason":"scope"`, `"reason":"unknown_key"`} {
		r.until(t, r.stderr, reason)
	}
}

func TestTheWrongListenerIsNamed(t *testing.T) {
	t.Parallel()
	r := newSite(t).serve(t)
	runBinary(t, r.dir, r.as(r.public, r.onCall), "", "keys", "list").
		want(t, exitInternal, "", "OperatorService is on the operator listener; name it with --url")
	runBinary(t, r.dir, r.as(r.operator, r.backend), "", "list").
		want(t, exitInternal, "", "another listener of the gateway")
}

func TestOperatorsHaveTheirOwnRemedies(t *testing.T) {
	t.Parallel()
	for code, want := range map[connect.Code]string{
		connect.CodeUnimplemented:   "operator listener",
		connect.CodeUnauthenticated: "--scope operator",
		connect.CodeUnavailable:     "Try again in a moment",
	} {
		err := &operatorError{connect.NewError(code, "as the script says")}
		if text := explain(err); !strings.Contains(text, want) || exitCode(err) != exitCode(err.answer) {
			t.Errorf("%s: exit %d, %q", code, exitCode(err), text)
		}
	}
}

func TestADatabaseThatIsNotReadyIsToldBeforeTheWork(t *testing.T) {
	t.Parallel()
	dir, env := t.TempDir(), serveEnv(t)
	write(t, dir+"/"+defaultConfig, serveConfig)
	scope := []string{"--project", "acme", "--environment", "live"}
	for _, line := range []string{"keys list", "audit", "erase --subject u1 --reason t --yes"} {
		args := append(strings.Fields(line), scope...)
		runBinary(t, dir, env, "", args...).want(t, exitFail, "", "verigate migrate")
	}
	runBinary(t, dir, env, "", "deliveries", "reencrypt").want(t, exitFail, "", "verigate migrate")
	runBinary(t, dir, env, "", "keys", "create", "--project", "acmee", "--environment", "live", "--name", "backend").
		want(t, exitUsage, "", "acme live")
	runBinary(t, dir, nil, "", append([]string{"keys", "list", "--config", "absent.yaml"}, scope...)...).want(t, exitFail, "", "absent.yaml")
	down := append([]string{"keys", "list", "--database-url", "postgres://127.0.0.1:1/v"}, scope...)
	if a := runBinary(t, dir, nil, "", down...); a.code != exitFail || a.err == "" {
		t.Errorf("a database that is down: exit %d: %s", a.code, a.err)
	}
}

func TestAPasswordOnTheCommandLineIsRefused(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"of the user":      "postgres://me:" + secretMark + "@127.0.0.1/v",
		"in the query":     "postgres://127.0.0.1/v?user=me&password=" + secretMark,
		"of the TLS key":   "postgres://127.0.0.1/v?sslpassword=" + secretMark,
		"in pairs":         "host=127.0.0.1 password=" + secretMark,
		"in a broken URL":  "postgres://me:" + secretMark + "@[::1/v",
		"as the whole URL": secretMark,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, line := range []string{"migrate", "keys list --project acme --environment live", "audit --project acme --environment live"} {
				b := newBench(t)
				b.want(exitUsage, b.run(append(strings.Fields(line), "--database-url", url)...), "", "--database-url: must be a Postgres URL without a password")
				if strings.Contains(b.err.String(), secretMark) {
					t.Errorf("the password is repeated: %s", b.err.String())
				}
			}
		})
	}
	b := newBench(t)
	b.want(exitUsage, b.run("migrate", "--database-url", "${NOT_SET}"), "", "--database-url: the environment variable NOT_SET is not set")
	b.env["BROKEN"] = "postgres://me:" + secretMark + "@[::1/v"
	b.want(exitFail, b.run("keys", "list", "--project", "acme", "--environment", "live", "--database-url", "${BROKEN}"), "", "the database URL is not valid")
	if strings.Contains(b.err.String(), secretMark) {
		t.Errorf("the password is repeated: %s", b.err.String())
	}
}
