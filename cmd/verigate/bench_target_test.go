package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/bench/report"
	"github.com/verigate/verigate/bench/rig"
	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// testConfig is a gateway with a test connection, with its limits out of the way.
func testConfig(public, webhooks string) string {
	return strings.NewReplacer(
		"public: {address: 127.0.0.1:0}", "public: {address: '"+public+"'}",
		"webhooks: {address: 127.0.0.1:0}", "webhooks: {address: '"+webhooks+"'}",
		"environment: live", "environment: test",
		"verifyhuman-live", "verifyhuman-test",
		// Nobody is called: no such host can exist.
		"settings:\n", "settings:\n      base_url: https://provider.invalid\n",
		"drain: 1s", "drain: 0s\nlimits: {per_address: 1000000/s, webhooks_per_address: 1000000/s}",
	).Replace(serveConfig)
}

// freeAddress is one that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// target is a running gateway.
type target struct {
	*process

	dir, config, key string
	env              []string
}

// launchTarget tries again when somebody else took an address meanwhile.
func launchTarget(t *testing.T) *target {
	t.Helper()
	g := &target{dir: benchFolder(t), env: serveEnv(t)}
	g.config = filepath.Join(g.dir, defaultConfig)
	g.env = append(g.env, "TMPDIR="+g.dir)
	write(t, g.config, testConfig(freeAddress(t), freeAddress(t)))
	if p := launch(t, g.dir, g.env, "migrate"); p.wait(t) != exitPass {
		t.Fatal(p.stderr)
	}
	p := launch(t, g.dir, g.env, "keys", "create", "--config", g.config, "--project", "acme", "--environment", "test", "--name", "bench")
	if p.wait(t) != exitPass {
		t.Fatal(p.stderr)
	}
	g.key, _, _ = strings.Cut(p.stdout.String(), "\n")
	const tries = 5
	for range tries {
		g.process = launch(t, g.dir, g.env, "serve")
		select {
		case <-g.stderr.saw(`"msg":"serving"`):
			return g
		case <-g.exited:
		case <-time.After(patience):
			t.Fatalf("the gateway does not serve\n%s", g.stderr)
		}
		write(t, g.config, testConfig(freeAddress(t), freeAddress(t)))
	}
	t.Fatalf("the gateway does not serve\n%s", g.stderr)
	return nil
}

// bench runs the benchmark against the gateway.
func (g *target) bench(t *testing.T, arguments ...string) (report.Report, string) {
	t.Helper()
	cmd := exec.Command(binaryPath(t), append([]string{"bench", "--quick", "--json", "-", "--config", g.config}, arguments...)...)
	cmd.Env = append(append(os.Environ(), g.env...), "VERIGATE_API_KEY="+g.key)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	late := time.AfterFunc(benchPatience, func() { _ = cmd.Process.Signal(syscall.SIGINT) })
	defer late.Stop()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	var got report.Report
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	return got, said.String()
}

func (g *target) connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func TestBenchMeasuresAGatewayThatRuns(t *testing.T) {
	t.Parallel()
	g := launchTarget(t)
	reference := pgtest.NewEmpty(t)
	g.env = append(g.env, "BENCH_REFERENCE="+reference)
	got, said := g.bench(t, "--only", "ingest,told,start", "--pid", strconv.Itoa(g.cmd.Process.Pid), "--reference-database-url", "${BENCH_REFERENCE}")
	if !strings.Contains(said, "this writes to the database of "+g.config) {
		t.Errorf("nobody is told that it writes:\n%s", said)
	}
	var names []string
	for _, table := range got.Tables {
		names = append(names, table.Name)
	}
	if !slices.Equal(names, []string{"ingest", "told", "start"}) || len(got.Warnings) == 0 {
		t.Fatalf("measured %v, warned %v", names, got.Warnings)
	}
	if first := got.Tables[0].Figures[0]; first.Value.Median <= 0 || first.Reference.Median <= 0 || first.Bar == nil {
		t.Errorf("the rate has no reference: %+v", first)
	}
	if notes := strings.Join(got.Tables[2].Notes, "\n"); !strings.Contains(notes, "starts are left out") {
		t.Errorf("a provider that cannot be reached is not told of: %q", notes)
	}
	wantBenchRowsOnly(t, g, got)

	// What was put into the references' database is gone: it serves again.
	again := g.connect(t, reference)
	var tables int
	if err := again.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'goose_db_version'").Scan(&tables); err != nil || tables > 0 {
		t.Errorf("%d tables are left in the references' database (%v)", tables, err)
	}
}

// wantBenchRowsOnly looks at what the benchmark left in the gateway's database.
func wantBenchRowsOnly(t *testing.T, g *target, got report.Report) {
	t.Helper()
	conn := g.connect(t, databaseOf(t, g.env))
	var decided, undecided, strange, refs int
	err := conn.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE state = 'approved'), count(*) FILTER (WHERE state = 'pending'),
			count(*) FILTER (WHERE subject NOT LIKE $1 || '%' OR reference NOT LIKE $2 || '%' OR environment <> 'test' OR connection <> 'verifyhuman-test'),
			(SELECT count(*) FROM provider_ref r WHERE NOT EXISTS (SELECT FROM verification v WHERE v.id = r.verification_id))
		FROM verification`, rig.SubjectPrefix, rig.ReferencePrefix).Scan(&decided, &undecided, &strange, &refs)
	if err != nil {
		t.Fatal(err)
	}
	if decided == 0 || undecided > 0 || strange > 0 || refs > 0 {
		t.Errorf("%d decided, %d not, %d of other names, %d refs of nobody; the report is %+v", decided, undecided, strange, refs, got.Warnings)
	}
}

func databaseOf(t *testing.T, env []string) string {
	t.Helper()
	for _, entry := range env {
		if value, found := strings.CutPrefix(entry, "VERIGATE_DATABASE_URL="); found {
			return value
		}
	}
	t.Fatal("no database is named")
	return ""
}

func TestBenchRefusesWhatItMustNotTarget(t *testing.T) {
	t.Parallel()
	dir, env := t.TempDir(), serveEnv(t)
	good := testConfig("127.0.0.1:1", "127.0.0.1:1")
	second := strings.Replace(good, "flows:", `  - name: other-test
    project: acme
    environment: test
    provider: verifyhuman
    settings: {api_key: "${VERIFYHUMAN_API_KEY}", webhook_secrets: ["${VERIFYHUMAN_WEBHOOK_SECRET}"]}
flows:
  - {name: second, connection: other-test, product: verifyidentity, lifetime: 1h}`, 1)
	unused := strings.Replace(second, "connection: verifyhuman-test", "connection: verifyhuman-live", 1)
	unused = strings.Replace(strings.Replace(unused, "name: verifyhuman-test", "name: verifyhuman-live", 1), "environment: test", "environment: live", 1)
	key := []string{"VERIGATE_API_KEY=vg_test_0000000000000000_" + fmt.Sprintf("%043d", 0)}
	for i, c := range []struct {
		config string
		env    []string
		args   []string
		want   []string
	}{
		{good, key, []string{"--only", "growth"}, []string{"growth", "--config"}},
		{good, key, []string{"--only", "ingest,nodes"}, []string{"nodes", "--config"}},
		{good, key, []string{"--only", "watchers"}, []string{"watchers", "--pid"}},
		{serveConfig, key, nil, []string{"connections:", "environment: test", "never touches environment live"}},
		{unused, key, []string{"--flow", "identity"}, []string{"--flow", `"identity"`, "environment: test"}},
		{second, key, nil, []string{"--flow", "identity, second"}},
		{good, nil, nil, []string{"no API key", "--api-key", "VERIGATE_API_KEY"}},
		{good, []string{"VERIGATE_API_KEY=vg_live_0000000000000000_x"}, nil, []string{"--api-key", "environment live"}},
		{strings.Replace(good, "127.0.0.1:1", "127.0.0.1:0", 2), key, nil, []string{"listeners.public.address", "port 0"}},
		{strings.Replace(good, "webhook_secrets:", "signature_mode: ts_dot_body\n      webhook_secrets:", 1), key, nil, []string{"signature_mode", "body"}},
		{good, key, []string{"--reference-database-url", "postgres://a:marked@127.0.0.1/b"}, []string{"--reference-database-url", "password"}},
		{"", key, []string{"--pid", "1"}, []string{"--pid", "--config"}},
	} {
		args := append([]string{"bench", "--quick"}, c.args...)
		if c.config != "" {
			args = append(args, "--config", writeIn(t, dir, fmt.Sprintf("%d.yaml", i), c.config))
		}
		p := launch(t, dir, append(append([]string{"VERIGATE_API_KEY="}, env...), c.env...), args...)
		if code := p.wait(t); code == exitPass {
			t.Errorf("%v ended with %d", args, code)
		}
		for _, want := range c.want {
			if said := p.stderr.String(); !strings.Contains(said, want) || strings.Contains(said, "marked") {
				t.Errorf("%v: the error lacks %q:\n%s", args, want, said)
			}
		}
	}
}
