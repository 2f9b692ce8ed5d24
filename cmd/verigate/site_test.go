package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// siteConfig is a gateway whose flow is one stable page, so that a start needs
// no provider, and whose limits let a test do a lot.
const siteConfig = `public_url: https://verify.example.com
listeners:
  public: {address: 127.0.0.1:0}
  webhooks: {address: 127.0.0.1:0}
  operator: {address: localhost:0}
database_url: ${VERIGATE_DATABASE_URL}
drain: 0s
client_tokens:
  keys: [{id: k1, secret: "${VERIGATE_TOKEN_KEY}"}]
encryption:
  keys:
    - {id: e1, secret: "${VERIGATE_ENCRYPTION_KEY}"}
limits: {per_key: 1000000/s, starts_per_subject: 1000000/s, per_address: 1000000/s}
connections:
  - name: verifyhuman-live
    project: acme
    environment: live
    provider: verifyhuman
    dedicated: true
    settings:
      api_key: ${VERIFYHUMAN_API_KEY}
      webhook_secrets: ["${VERIFYHUMAN_WEBHOOK_SECRET}"]
flows:
  - name: age-gate
    connection: verifyhuman-live
    product: verifyage
    hosted_url: https://app.verifyhuman.example/flow/one
    correlation: inferred
    allowed_redirects: ["myapp://"]
`

// The secrets of a site; what must not be printed has this mark.
const (
	secretMark        = "marked-secret"
	siteTokenKey      = secretMark + "-client-token-0123456789abcdef"
	siteEncryptionKey = secretMark + "-encryption-0123456789abcdef"
	siteSecondKey     = secretMark + "-encryption-two-0123456789abcdef"
	siteProviderKey   = secretMark + "-vhk-live"
	siteWebhookSecret = secretMark + "-whsec"
)

// site is a folder with a verigate.yaml, an environment and a migrated database.
type site struct {
	dir string
	dsn string
	env []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), dsn: pgtest.New(t)}
	s.env = []string{
		"VERIGATE_DATABASE_URL=" + s.dsn,
		"VERIGATE_TOKEN_KEY=" + siteTokenKey,
		"VERIGATE_ENCRYPTION_KEY=" + siteEncryptionKey,
		"VERIGATE_SECOND_KEY=" + siteSecondKey,
		"VERIFYHUMAN_API_KEY=" + siteProviderKey,
		"VERIFYHUMAN_WEBHOOK_SECRET=" + siteWebhookSecret,
	}
	s.configure(t, siteConfig)
	return s
}

func (s *site) configure(t *testing.T, text string) {
	t.Helper()
	write(t, filepath.Join(s.dir, defaultConfig), text)
}

// answer is how a command ended.
type answer struct {
	out, err string
	code     int
}

// want checks the exit code and that the outputs hold the given parts.
func (a answer) want(t *testing.T, code int, out, errOut string) answer {
	t.Helper()
	if a.code != code || !strings.Contains(a.out, out) || !strings.Contains(a.err, errOut) {
		t.Errorf("exit %d, want %d with %q and %q\nout: %s\nerr: %s", a.code, code, out, errOut, a.out, a.err)
	}
	return a
}

// json decodes the output of a command with --json.
func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var message map[string]any
	if err := json.Unmarshal([]byte(a.out), &message); err != nil {
		t.Fatalf("exit %d without JSON: %v\nout: %s\nerr: %s", a.code, err, a.out, a.err)
	}
	return message
}

// cli runs a command in the site's folder, on its database.
func (s *site) cli(t *testing.T, args ...string) answer {
	t.Helper()
	return runBinary(t, s.dir, s.env, "", args...)
}

// direct is cli for a command that works on the database itself.
func (s *site) direct(t *testing.T, args ...string) answer {
	t.Helper()
	return s.cli(t, append(args, "--config", defaultConfig, "--project", "acme", "--environment", "live")...)
}

// runBinary runs a command with the given standard input to its end.
func runBinary(t *testing.T, dir string, env []string, stdin string, args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, binaryPath(t), args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errOut
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return answer{out: out.String(), err: errOut.String(), code: cmd.ProcessState.ExitCode()}
}

// runningSite is a running `verigate serve`.
type runningSite struct {
	*process
	*site

	public, operator string
	// backend and onCall are API keys: a backend's, and one of the scope operator.
	backend, onCall string
}

// serve starts a node, with keys made on the database itself before.
func (s *site) serve(t *testing.T) *runningSite {
	t.Helper()
	r := &runningSite{site: s}
	r.backend = dig(s.direct(t, "keys", "create", "--name", "backend", "--json").json(t), "secret")
	r.onCall = dig(s.direct(t, "keys", "create", "--name", "on-call", "--scope", "operator", "--json").json(t), "secret")
	r.start(t)
	return r
}

// start starts a node, again if need be.
func (r *runningSite) start(t *testing.T) {
	t.Helper()
	r.process = launch(t, r.dir, r.env, "serve", "--json")
	r.until(t, r.stdout, "\n")
	var served struct {
		Listeners map[string]string `json:"listeners"`
	}
	if err := json.Unmarshal([]byte(r.stdout.String()), &served); err != nil || len(served.Listeners) != 3 {
		t.Fatalf("serve --json printed %s", r.stdout)
	}
	r.public, r.operator = "http://"+served.Listeners["public"], "http://"+served.Listeners["operator"]
}

// stop ends the node as a service manager does.
func (r *runningSite) stop(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := r.wait(t); code != exitPass {
		t.Fatalf("serve ended with %d\n%s", code, r.stderr)
	}
}

// as is the environment of a client of this site with an API key.
func (r *runningSite) as(url, key string) []string {
	return append([]string{"VERIGATE_URL=" + url, "VERIGATE_API_KEY=" + key}, r.env...)
}

// ask runs an operator's command over the server.
func (r *runningSite) ask(t *testing.T, args ...string) answer {
	t.Helper()
	return runBinary(t, r.dir, r.as(r.operator, r.onCall), "", args...)
}

// begin starts a verification with the backend's key and returns its id.
func (r *runningSite) begin(t *testing.T, subject, reference string) string {
	t.Helper()
	body := fmt.Sprintf(`{"flow":"age-gate","subject":%q,"reference":%q,"redirectUrl":"myapp://done"}`, subject, reference)
	d := &runningDev{url: r.public}
	status, started := d.post(t, r.backend, "StartVerification", body)
	if status != http.StatusOK {
		t.Fatalf("start answered %d: %v", status, started)
	}
	return dig(started, "verification", "id")
}

// webhook sends what VerifyHuman would about one of its runs, signed as the
// seed document says.
func (r *runningSite) webhook(t *testing.T, providerRef string) {
	t.Helper()
	body := fmt.Sprintf(`{"event":"verification.completed","verification_id":%q,"status":"PASS","product":"verifyage",`+
		`"environment":"live","timestamp":"2026-05-17T10:30:00Z"}`, providerRef)
	mac := hmac.New(sha256.New, []byte(siteWebhookSecret))
	mac.Write([]byte(body))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.public+"/webhooks/verifyhuman-live", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Verifyhuman-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("the webhook got %d", response.StatusCode)
	}
}
