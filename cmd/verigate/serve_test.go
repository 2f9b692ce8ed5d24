package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

const serveConfig = `public_url: https://verify.example.com
listeners:
  public: {address: 127.0.0.1:0}
  webhooks: {address: 127.0.0.1:0}
  operator: {address: localhost:0}
database_url: ${VERIGATE_DATABASE_URL}
drain: 1s
client_tokens:
  keys:
    - id: k1
      secret: ${VERIGATE_TOKEN_KEY}
encryption:
  keys:
    - id: e1
      secret: ${VERIGATE_ENCRYPTION_KEY}
connections:
  - name: verifyhuman-live
    project: acme
    environment: live
    provider: verifyhuman
    settings:
      api_key: ${VERIFYHUMAN_API_KEY}
      webhook_secrets:
        - ${VERIFYHUMAN_WEBHOOK_SECRET}
flows:
  - name: identity
    connection: verifyhuman-live
    product: verifyidentity
    lifetime: 1h
    grace: 1h
    allowed_redirects: ["myapp://"]
`

func serveEnv(t *testing.T) []string {
	t.Helper()
	return []string{
		"VERIGATE_DATABASE_URL=" + pgtest.NewEmpty(t),
		"VERIGATE_TOKEN_KEY=0123456789abcdef0123456789abcdef",
		"VERIGATE_ENCRYPTION_KEY=fedcba9876543210fedcba9876543210",
		"VERIFYHUMAN_API_KEY=vhk_live_marked_secret",
		"VERIFYHUMAN_WEBHOOK_SECRET=whsec_live_marked_secret",
	}
}

func TestServeRefusesPendingMigrationsThenServesAndReloads(t *testing.T) {
	t.Parallel()
	dir, env := t.TempDir(), serveEnv(t)
	path := filepath.Join(dir, defaultConfig)
	write(t, path, serveConfig)

	early := launch(t, dir, env, "serve")
	if code := early.wait(t); code != exitFail || !strings.Contains(early.stderr.String(), "verigate migrate") {
		t.Fatalf("serve on an empty database ended with %d: %s", code, early.stderr)
	}
	migrate := launch(t, dir, env, "migrate")
	if code := migrate.wait(t); code != exitPass {
		t.Fatalf("migrate ended with %d: %s", code, migrate.stderr)
	}

	node := launch(t, dir, env, "serve")
	node.until(t, node.stderr, `"msg":"serving"`)
	write(t, path, serveConfig+"unknown_key: 1\n")
	hangUp(t, node)
	node.until(t, node.stderr, "the old one stays")
	write(t, path, strings.Replace(serveConfig, "drain: 1s", "drain: 2s", 1))
	hangUp(t, node)
	node.until(t, node.stderr, `"msg":"the configuration was reloaded","needs_a_restart":["drain"]`)
	if err := node.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := node.wait(t); code != 0 {
		t.Errorf("SIGTERM ended with %d: %s", code, node.stderr)
	}
	for _, output := range []string{node.stderr.String(), early.stderr.String()} {
		if strings.Contains(output, "marked_secret") || strings.Contains(output, "0123456789abcdef0123") || strings.Contains(output, "fedcba9876543210fedc") {
			t.Errorf("a secret was printed:\n%s", output)
		}
	}
}

func TestConfigCheckTellsEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	dir, env := t.TempDir(), serveEnv(t)
	broken := strings.NewReplacer("lifetime: 1h", "lifetime: 400d", "connection: verifyhuman-live", "connection: verifyhuman-lvie",
		"${VERIGATE_TOKEN_KEY}", "${NOT_SET}").Replace(serveConfig)
	write(t, filepath.Join(dir, defaultConfig), broken)
	check := launch(t, dir, env, "config", "check")
	if code := check.wait(t); code != exitFail {
		t.Errorf("ended with %d", code)
	}
	for _, want := range []string{"verigate.yaml:11:", "NOT_SET", "lifetime", "verifyhuman-lvie"} {
		if !strings.Contains(check.stderr.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, check.stderr)
		}
	}
	good := launch(t, dir, env, "config", "check", "--config", writeIn(t, dir, "good.yaml", serveConfig))
	if code := good.wait(t); code != exitPass {
		t.Errorf("a good file ended with %d: %s", code, good.stderr)
	}
}

func hangUp(t *testing.T, p *process) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeIn(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	write(t, path, content)
	return path
}
