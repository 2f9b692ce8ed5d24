package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// accessToken asks the sandbox issuer for an end user's token, as curl would.
func (d *runningDev) accessToken(t *testing.T, subject string) string {
	t.Helper()
	form := url.Values{"subject": {subject}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/sandbox/issuer/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("the issuer answered %d: %v", response.StatusCode, err)
	}
	return answer.AccessToken
}

func TestAnEndUserSeesItsOwnVerificationThrough(t *testing.T) {
	t.Parallel()
	d := launchDev(t)
	alice, bob := d.accessToken(t, "alice"), d.accessToken(t, "bob")
	status, started := d.post(t, alice, "StartVerification", `{"flow":"identity","redirectUrl":"myapp://verify-complete"}`)
	if status != http.StatusOK || dig(started, "verification", "subject") != "alice" {
		t.Fatalf("start answered %d: %v", status, started)
	}
	id := dig(started, "verification", "id")
	if status, got := d.post(t, alice, "GetVerification", `{"id":"`+id+`"}`); status != http.StatusOK || dig(got, "verification", "id") != id {
		t.Errorf("get answered %d: %v", status, got)
	}
	messages := d.watch(t, alice, id)
	if first := next(t, messages); first.body["state"] != "VERIFICATION_STATE_PENDING" {
		t.Fatalf("the first message is %v", first.body)
	}
	if output, code := d.cli(t, "sandbox", "complete", id, "--outcome", "pass"); code != exitPass {
		t.Fatalf("sandbox complete ended with %d: %s", code, output)
	}
	for m := next(t, messages); !m.end; m = next(t, messages) {
		if m.body["terminal"] == true && m.body["state"] != "VERIFICATION_STATE_APPROVED" {
			t.Errorf("the terminal message is %v", m.body)
		}
	}

	t.Run("and another one does not know of it", func(t *testing.T) {
		if status, got := d.post(t, bob, "GetVerification", `{"id":"`+id+`"}`); status != http.StatusNotFound || dig(got, "code") != "not_found" {
			t.Errorf("get answered %d: %v", status, got)
		}
		refused := next(t, d.watch(t, bob, id))
		if !refused.end || dig(refused.body, "error", "code") != "not_found" {
			t.Errorf("watch answered %v", refused.body)
		}
	})

	t.Run("and nobody starts one for another", func(t *testing.T) {
		status, got := d.post(t, bob, "StartVerification", `{"flow":"identity","subject":"alice"}`)
		if status != http.StatusBadRequest || dig(got, "code") != "invalid_argument" {
			t.Errorf("start answered %d: %v", status, got)
		}
	})

	t.Run("and no end user may do what a backend does", func(t *testing.T) {
		for rpc, body := range map[string]string{"ListVerifications": `{}`, "CancelVerification": `{"id":"` + id + `"}`} {
			if status, got := d.post(t, alice, rpc, body); status != http.StatusUnauthorized || dig(got, "code") != "unauthenticated" {
				t.Errorf("%s answered %d: %v", rpc, status, got)
			}
		}
	})
}

func TestTheKeyOfDevMayOperate(t *testing.T) {
	t.Parallel()
	d := launchDev(t)
	for line, want := range map[string]string{
		"keys list": "dev", "audit": "api_key.create", "erase --subject nobody --reason ticket-1 --yes": "erased 0 verifications",
	} {
		if output, code := d.cli(t, strings.Fields(line)...); code != exitPass || !strings.Contains(output, want) {
			t.Errorf("%s ended with %d: %s", line, code, output)
		}
	}
	content, err := os.ReadFile(filepath.Join(d.dir, devEnvPath))
	if err != nil {
		t.Fatal(err)
	}
	if string(content) != "VERIGATE_URL="+d.url+"\nVERIGATE_API_KEY="+d.key+"\nVERIGATE_CALLBACK_SECRET="+devCallbackSecret+"\n" {
		t.Errorf("dev.env has another form:\n%s", strings.ReplaceAll(string(content), d.key, "[key]"))
	}
}

// A data directory of the first release has a key that may not operate, and
// nothing to seal deliveries with.
func TestDevTakesOverTheFirstReleasesData(t *testing.T) {
	t.Parallel()
	dir, dsn := t.TempDir(), pgtest.New(t)
	for range 5 { // partitions, indexes, the job queue, events, access
		if err := db.Down(t.Context(), dsn); err != nil {
			t.Fatal(err)
		}
	}
	old, text, err := access.NewKey(devScope(), "dev", nil, rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	insert(t, dsn, "INSERT INTO api_key (id, project, environment, name, secret_hash, create_time) VALUES ($1, $2, $3, $4, $5, $6)",
		old.ID, old.Scope.Project, string(old.Scope.Environment), old.Name, old.SecretHash, old.CreateTime)
	data := filepath.Join(dir, ".verigate")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	tokenKey := strings.Repeat("k", access.MinTokenSecret)
	write(t, filepath.Join(data, tokenKeyFile), tokenKey)
	write(t, filepath.Join(data, envFile), "VERIGATE_URL=http://127.0.0.1:1\nVERIGATE_API_KEY="+text.Reveal()+"\n")

	d := launch(t, dir, nil, "dev", "--listen", "127.0.0.1:0", "--data-dir", data, "--database-url", dsn)
	d.until(t, d.stdout, "Stop with ctrl-C")
	env := readEnvFile(filepath.Join(data, envFile))
	if env[envKey] == "" || env[envKey] == text.Reveal() {
		t.Error("the old key, which may not operate, was kept")
	}
	for name, want := range map[string]string{tokenKeyFile: tokenKey, encryptionKeyFile: ""} {
		content, err := os.ReadFile(filepath.Join(data, name))
		if err != nil || len(content) < access.MinTokenSecret || (want != "" && string(content) != want) {
			t.Errorf("%s: %d bytes, %v", name, len(content), err)
		}
	}
	runBinary(t, dir, nil, "", "keys", "list").want(t, exitPass, old.ID, "")
	// What runs with the old key goes on running.
	runBinary(t, dir, []string{"OLD_KEY=" + text.Reveal()}, "", "list", "--api-key", "${OLD_KEY}").want(t, exitPass, "", "")
}

func insert(t *testing.T, dsn, statement string, values ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), statement, values...); err != nil {
		t.Fatal(err)
	}
}

func TestDevNamesADatabaseReferenceThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	runBinary(t, t.TempDir(), nil, "", "dev", "--listen", "127.0.0.1:0", "--database-url", "${NOT_SET}").
		want(t, exitUsage, "", "--database-url: the environment variable NOT_SET is not set")
}
