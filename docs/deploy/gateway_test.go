package deploy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// gatewayConfig is a verigate.yaml as the files of this folder expect it, with
// short times. Its flows have hosted pages that need no provider.
const gatewayConfig = `public_url: https://verify.example.com
webhooks_url: https://hooks.example.com
listeners:
  public: {address: "%[1]s:%[2]d"}
  webhooks: {address: "%[1]s:%[3]d"}
  operator: {address: "%[1]s:%[4]d"}
trusted_proxies: [127.0.0.1]
database_url: ${VERIGATE_DATABASE_URL}
drain: 2s
watch: {heartbeat: %[5]s, max_age: 10m}
cors: {origins: ["https://app.example.com"]}
client_tokens: {keys: [{id: k1, secret: "${VERIGATE_TOKEN_KEY}"}]}
encryption: {keys: [{id: e1, secret: "${VERIGATE_ENCRYPTION_KEY}"}]}
connections:
  - {name: people, project: acme, environment: live, provider: verifyhuman, dedicated: true,
      settings: {api_key: "${VERIFYHUMAN_API_KEY}", webhook_secrets: ["${VERIFYHUMAN_WEBHOOK_SECRET}"]}}
  - {name: hooked, project: acme, environment: live, provider: verifyhuman, dedicated: true,
      settings: {api_key: "${VERIFYHUMAN_API_KEY}", webhook_secrets: ["${VERIFYHUMAN_WEBHOOK_SECRET}"]}}
flows:
  - {name: open, connection: people, product: verifyhuman, correlation: inferred, hosted_url: "https://app.verifyhuman.io/flow/open"}
  - {name: hooked, connection: hooked, product: verifyhuman, correlation: inferred, hosted_url: "https://app.verifyhuman.io/flow/hooked"}
`

// webhookSecret signs the webhooks of the flow "hooked".
const webhookSecret = "whsec_deploy_tests"

// gateway is a running `verigate serve` with a database of its own.
type gateway struct {
	node *process
	dir  string
	env  []string
	host string
	// The ports of the three listeners.
	public, webhooks, operator int
	key                        string
}

// openGateway starts a gateway that holds one key for a backend.
func openGateway(t *testing.T, heartbeat time.Duration) *gateway {
	t.Helper()
	g := &gateway{dir: t.TempDir(), host: loopback()}
	g.public, g.webhooks, g.operator = freePort(t, g.host), freePort(t, g.host), freePort(t, g.host)
	g.env = []string{
		"VERIGATE_DATABASE_URL=" + pgtest.New(t),
		"VERIGATE_TOKEN_KEY=0123456789abcdef0123456789abcdef",
		"VERIGATE_ENCRYPTION_KEY=fedcba9876543210fedcba9876543210",
		"VERIFYHUMAN_API_KEY=vhk_deploy_tests",
		"VERIFYHUMAN_WEBHOOK_SECRET=" + webhookSecret,
	}
	config := fmt.Sprintf(gatewayConfig, g.host, g.public, g.webhooks, g.operator, heartbeat)
	if err := os.WriteFile(filepath.Join(g.dir, "verigate.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	made := run(t, g.dir, g.env, "keys", "create", "--config", "verigate.yaml",
		"--project", "acme", "--environment", "live", "--name", "backend", "--json")
	var key struct{ Secret string }
	if err := json.Unmarshal([]byte(made), &key); err != nil || key.Secret == "" {
		t.Fatalf("keys create printed %q: %v", made, err)
	}
	g.key = key.Secret
	g.start(t)
	return g
}

// start starts the gateway, on the same addresses each time.
func (g *gateway) start(t *testing.T) {
	t.Helper()
	g.node = launch(t, g.dir, g.env, binary, "serve", "--json")
	g.node.until(t, `"public_url"`)
}

// deploy is what a new release does: the old node drains and ends, a new one
// starts. The drained function runs in between.
func (g *gateway) deploy(t *testing.T, drained func()) {
	t.Helper()
	g.node.signal(syscall.SIGTERM)
	drained()
	if code := g.node.wait(t); code != 0 {
		t.Errorf("the gateway ended with %d\n%s", code, g.node.output)
	}
	g.start(t)
}

// watchers returns how many watch on the node, as its metrics say.
func (g *gateway) watchers(t *testing.T) int {
	t.Helper()
	response, err := http.Get(fmt.Sprintf("http://%s/metrics", g.at(g.operator)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^verigate_watchers (\d+)$`).FindSubmatch(page)
	if found == nil {
		t.Fatalf("the metrics lack verigate_watchers:\n%s", page)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (g *gateway) at(port int) string { return net.JoinHostPort(g.host, strconv.Itoa(port)) }

// loopback returns an address of this machine that nobody else uses, so that a
// port that was free is still free when a program binds it.
func loopback() string {
	part := func() int { return 3 + rand.IntN(250) }
	return fmt.Sprintf("127.%d.%d.%d", part(), part(), part())
}

func freePort(t *testing.T, host string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
