package main

import (
	"slices"
	"strings"
	"testing"
)

// ways are the two ways of an operator's command.
func ways() map[string]func(r *runningSite, t *testing.T, args ...string) answer {
	return map[string]func(r *runningSite, t *testing.T, args ...string) answer{
		"over the server":        (*runningSite).ask,
		"on the database itself": func(r *runningSite, t *testing.T, args ...string) answer { t.Helper(); return r.direct(t, args...) },
	}
}

func TestKeysAreMadeListedRotatedAndRevoked(t *testing.T) {
	t.Parallel()
	for name, way := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newSite(t).serve(t)
			made := way(r, t, "keys", "create", "--name", "reports", "--scope", "verifications:read", "--expires-in", "2h").want(t, exitPass, "vg_live_", "")
			key := strings.Fields(made.out)[0]
			id := strings.Split(key, "_")[2]
			r.mayList(t, key, exitPass)

			listed := way(r, t, "keys", "list").want(t, exitPass, "LAST USED", "")
			if row := rowOf(listed.out, id); !strings.Contains(row, "reports") || !strings.HasSuffix(row, "active") {
				t.Errorf("the new key's row is %q", row)
			}

			rotated := way(r, t, "keys", "rotate", id, "--overlap", "1h").want(t, exitPass, "The old key "+id+" works until", "")
			successor := strings.Fields(rotated.out)[0]
			r.mayList(t, key, exitPass)
			r.mayList(t, successor, exitPass)
			way(r, t, "keys", "rotate", id).want(t, exitRefused, "", "rotate its successor "+strings.Split(successor, "_")[2])

			way(r, t, "keys", "revoke", id).want(t, exitPass, "revoked "+id, "")
			r.mayList(t, key, exitUnauthenticated)
			r.mayList(t, successor, exitPass)
			way(r, t, "keys", "revoke", id).want(t, exitPass, "revoked "+id, "")

			listed = way(r, t, "keys", "list").want(t, exitPass, "", "")
			if row := rowOf(listed.out, id); !strings.Contains(row, "revoked ") {
				t.Errorf("the revoked key's row is %q", row)
			}
			for _, output := range []string{listed.out, r.stderr.String(), way(r, t, "audit").out} {
				if strings.Contains(output, secretOf(key)) || strings.Contains(output, secretOf(successor)) {
					t.Errorf("a key was shown again:\n%s", output)
				}
			}
		})
	}
}

// secretOf is the part of an API key that nobody may see. It may hold
// underscores of its own.
func secretOf(key string) string { return strings.SplitN(key, "_", 4)[3] }

// mayList checks whether a key is good for a call of its scope.
func (r *runningSite) mayList(t *testing.T, key string, code int) {
	t.Helper()
	runBinary(t, r.dir, r.as(r.public, key), "", "list").want(t, code, "", "")
}

// rowOf is the line of a table that begins with a word.
func rowOf(table, word string) string {
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, word) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func TestOperatorsCommandsSpeakJSON(t *testing.T) {
	t.Parallel()
	for name, way := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newSite(t).serve(t)
			made := way(r, t, "keys", "create", "--name", "reports", "--scope", "verifications:read,events:read", "--json").json(t)
			id := dig(made, "apiKey", "id")
			if !strings.HasPrefix(dig(made, "secret"), "vg_live_"+id+"_") || dig(made, "apiKey", "environment") != "live" {
				t.Errorf("keys create printed %v", made)
			}
			if got := way(r, t, "keys", "rotate", id, "--overlap", "0s", "--json").json(t); dig(got, "predecessor", "successorId") != dig(got, "apiKey", "id") || dig(got, "secret") == "" {
				t.Errorf("keys rotate printed %v", got)
			}
			if got := way(r, t, "keys", "revoke", id, "--json").json(t); dig(got, "apiKey", "revokeTime") == "" {
				t.Errorf("keys revoke printed %v", got)
			}
			// The backend's, the operator's, the new one and its successor.
			if keys, _ := way(r, t, "keys", "list", "--json").json(t)["apiKeys"].([]any); len(keys) != 4 {
				t.Errorf("keys list printed %v", keys)
			}
			erased := way(r, t, "erase", "--subject", "nobody", "--reason", "ticket-1", "--yes", "--json").json(t)
			if dig(erased, "verifications") != "0" || dig(erased, "erasureId") == "" {
				t.Errorf("erase printed %v", erased)
			}
			entries, _ := way(r, t, "audit", "--json", "--page-size", "2", "--all").json(t)["entries"].([]any)
			var actions []string
			for _, entry := range entries {
				actions = append(actions, dig(entry.(map[string]any), "action"))
			}
			want := []string{"subject.erase", "api_key.revoke", "api_key.rotate", "api_key.create", "gateway.start", "api_key.create", "api_key.create"}
			if !slices.Equal(actions, want) {
				t.Errorf("the audit log has %v, want %v", actions, want)
			}
		})
	}
}

func TestTheAuditLogTellsWhoCame(t *testing.T) {
	t.Parallel()
	r := newSite(t).serve(t)
	r.ask(t, "keys", "create", "--name", "over-the-server").want(t, exitPass, "", "")
	listed := r.ask(t, "audit", "--action", "api_key.create").want(t, exitPass, "", "")
	onCall := strings.Split(r.onCall, "_")[2]
	for _, want := range []string{"key:" + onCall, "127.0.0.1", "name=over-the-server", commandActor()} {
		if !strings.Contains(listed.out, want) {
			t.Errorf("the audit log lacks %q:\n%s", want, listed.out)
		}
	}
	one := r.ask(t, "audit", "--target", onCall).want(t, exitPass, "name=on-call", "")
	if strings.Contains(one.out, "over-the-server") {
		t.Errorf("--target did not select:\n%s", one.out)
	}
	r.ask(t, "audit", "--page-size", "1").want(t, exitPass, "", "more: --page-token ")
}

func TestReloadsAreInTheAuditLog(t *testing.T) {
	t.Parallel()
	r := newSite(t).serve(t)
	drained := strings.Replace(siteConfig, "drain: 0s", "drain: 1s", 1)
	// One reload follows the other, so a line of the log says that the reload
	// before it is in the audit log.
	for _, step := range [][2]string{
		{drained, `"needs_a_restart":["drain"]`},
		{siteConfig + "unknown_key: 1\n", "the old one stays"},
		{drained + "watch: {heartbeat: 10s}\n", `"needs_a_restart":["watch","drain"]`},
	} {
		r.configure(t, step[0])
		hangUp(t, r.process)
		r.until(t, r.stderr, step[1])
	}
	listed := r.ask(t, "audit").want(t, exitPass, "", "").out
	for action, details := range map[string]string{"configuration.refuse": "problems=1", "configuration.reload": "needs_a_restart=drain"} {
		if !strings.Contains(listed, action) || !strings.Contains(listed, details) || !strings.Contains(listed, "signal") {
			t.Errorf("the audit log lacks %s with %s:\n%s", action, details, listed)
		}
	}
}

func TestTheDatabaseIsNamedByTheEnvironment(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.direct(t, "keys", "create", "--name", "backend").want(t, exitPass, "", "")
	elsewhere := t.TempDir()
	scope := []string{"--project", "acme", "--environment", "live"}
	env := []string{"MY_DATABASE=" + s.dsn}
	for name, args := range map[string][]string{
		"by a reference to a variable": {"keys", "list", "--database-url", "${MY_DATABASE}"},
		"by a reference to a file":     {"keys", "list", "--database-url", "file:" + writeIn(t, elsewhere, "dsn", s.dsn)},
		"without a configuration file": {"keys", "list"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := append([]string{"VERIGATE_DATABASE_URL=" + s.dsn}, env...)
			runBinary(t, elsewhere, variables, "", append(args, scope...)...).want(t, exitPass, "backend", "")
		})
	}
	t.Run("but not when a configuration file is named that is not there", func(t *testing.T) {
		t.Parallel()
		args := append([]string{"keys", "list", "--config", "typo.yaml"}, scope...)
		runBinary(t, elsewhere, []string{"VERIGATE_DATABASE_URL=" + s.dsn}, "", args...).want(t, exitFail, "", "typo.yaml")
	})
}
