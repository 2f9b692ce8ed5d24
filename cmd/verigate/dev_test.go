package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// One run of the compiled binary with nothing but HTTP: start, a webhook signed
// as the seed document says, a stream read to its terminal message, and SIGTERM
// in the middle of another.
func TestTheBinaryFromStartToResultToSIGTERM(t *testing.T) {
	t.Parallel()
	d := launchDev(t)
	status, started := d.post(t, d.key, "StartVerification",
		`{"flow":"identity","subject":"u1","reference":"order-1","redirectUrl":"myapp://verify-complete"}`)
	if status != http.StatusOK {
		t.Fatalf("start answered %d: %v", status, started)
	}
	id, token := dig(started, "verification", "id"), dig(started, "clientToken")
	messages := d.watch(t, token, id)
	if first := next(t, messages); first.body["state"] != "VERIFICATION_STATE_PENDING" || first.body["kind"] != "STATUS_UPDATE_KIND_SNAPSHOT" {
		t.Fatalf("the first message is %v", first.body)
	}
	if status := d.webhook(t, "wrong secret", "ver_1", "PASS"); status != http.StatusUnauthorized {
		t.Errorf("a forged webhook got %d, want 401", status)
	}
	if status := d.webhook(t, sandboxWebhookSecret, "ver_1", "PASS"); status != http.StatusOK {
		t.Fatalf("the webhook got %d, want 200", status)
	}
	last := next(t, messages)
	if last.body["state"] != "VERIFICATION_STATE_APPROVED" || last.body["result"] != "VERIFICATION_RESULT_PASS" || last.body["terminal"] != true {
		t.Fatalf("the terminal message is %v", last.body)
	}
	if end := next(t, messages); !end.end || end.body["error"] != nil {
		t.Errorf("the stream did not end well: %v", end)
	}

	_, second := d.post(t, d.key, "StartVerification", `{"flow":"identity","subject":"u2"}`)
	open := d.watch(t, dig(second, "clientToken"), dig(second, "verification", "id"))
	next(t, open)
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if drain := next(t, open); drain.body["kind"] != "STATUS_UPDATE_KIND_DRAIN" || drain.body["terminal"] == true {
		t.Errorf("SIGTERM sent %v, want a drain message", drain.body)
	}
	if code := d.wait(t); code != 0 {
		t.Errorf("SIGTERM ended with %d\n%s", code, d.stderr)
	}
}

func dig(message map[string]any, path ...string) string {
	for _, key := range path[:len(path)-1] {
		message, _ = message[key].(map[string]any)
	}
	text, _ := message[path[len(path)-1]].(string)
	return text
}

// webhook sends what VerifyHuman would, in the seed document's form.
func (d *runningDev) webhook(t *testing.T, secret, verificationID, status string) int {
	t.Helper()
	body := `{"event":"verification.completed","verification_id":"` + verificationID + `","status":"` + status +
		`","product":"verifyidentity","environment":"test","timestamp":"2026-05-17T10:30:00Z"}`
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+"/webhooks/"+sandboxConnection, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-VerifyHuman-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode
}

// The README's own shell blocks, as they stand.
func TestTheREADMEsCurlExamplesRun(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)<!-- runs in the tests: [a-z-]+ -->\n```sh\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(blocks) != 6 {
		t.Fatalf("found %d marked blocks, want 6", len(blocks))
	}
	d := launchDev(t)
	script := "set -euo pipefail\n"
	for _, block := range blocks {
		script += block[1]
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-c", script)
	shell.Env = append(os.Environ(), "VERIGATE_URL="+d.url, "VERIGATE_API_KEY="+d.key)
	output, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, want := range []string{
		"\n200\n", `"result":"VERIFICATION_RESULT_PASS"`, `"terminal":true`, `"subject":"user-1"`,
		`"subject":"u2"`, `"reasonCodes":["provider_declined"]`, `"kind":"EVENT_KIND_REJECTED"`, `"cursor":"`,
	} {
		if !strings.Contains(string(output), want) {
			t.Errorf("the output lacks %q:\n%s", want, output)
		}
	}
}

func TestTheCommandLineSeesAPersonThrough(t *testing.T) {
	t.Parallel()
	d := launchDev(t)
	for _, c := range []struct {
		outcome string
		states  []string
		code    int
	}{
		{"pass", []string{"created", "pending", "processing", "approved"}, exitPass},
		{"fail", []string{"created", "pending", "processing", "declined"}, exitFail},
		{"deny", []string{"created", "pending", "processing", "declined"}, exitFail},
	} {
		started, code := d.cli(t, "start", "--flow", "identity", "--subject", "u1", "--reference", "order-1", "--json",
			"--redirect-url", "myapp://verify-complete", "--failure-redirect-url", "myapp://verify-failed")
		if code != exitPass {
			t.Fatalf("start ended with %d", code)
		}
		id := regexp.MustCompile(`"id":\s*"([^"]+)"`).FindStringSubmatch(started)[1]
		watching := launch(t, d.dir, nil, "watch", id)
		watching.until(t, watching.stdout, "pending")
		if output, code := d.cli(t, "sandbox", "complete", id, "--outcome", c.outcome); code != exitPass {
			t.Fatalf("sandbox complete ended with %d: %s", code, output)
		}
		if code := watching.wait(t); code != c.code {
			t.Errorf("%s: watch ended with %d, want %d\n%s", c.outcome, code, c.code, watching.stderr)
		}
		if got := stateColumn(watching.stdout.String()); strings.Join(got, " ") != strings.Join(c.states, " ") {
			t.Errorf("%s: watch showed %v, want %v", c.outcome, got, c.states)
		}
	}
}

// stateColumn is the second word of each line.
func stateColumn(output string) []string {
	var states []string
	for line := range strings.Lines(output) {
		if words := strings.Fields(line); len(words) > 1 {
			states = append(states, words[1])
		}
	}
	return states
}

func TestDevKeepsItsDataAndItsKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"dev", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "data")}
	first := launch(t, dir, nil, args...)
	first.until(t, first.stdout, "Stop with ctrl-C")
	before := readEnvFile(filepath.Join(dir, "data", envFile))

	second := launch(t, dir, nil, args...)
	if code := second.wait(t); code != exitFail || !strings.Contains(second.stderr.String(), "data") {
		t.Errorf("a second dev on the same data ended with %d: %s", code, second.stderr)
	}
	// The terminal's ctrl-C reaches the whole group.
	if err := syscall.Kill(-first.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := first.wait(t); code != 0 {
		t.Errorf("ctrl-C ended with %d: %s", code, first.stderr)
	}

	again := launch(t, dir, nil, args...)
	again.until(t, again.stdout, "Stop with ctrl-C")
	after := readEnvFile(filepath.Join(dir, "data", envFile))
	if after["VERIGATE_API_KEY"] != before["VERIGATE_API_KEY"] {
		t.Error("the key of the first run was forgotten")
	}
}

func TestDevSpeaksJSONAndNamesADamagedFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"dev", "--json", "--ephemeral", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "it's here")}
	d := launch(t, dir, nil, args...)
	d.until(t, d.stdout, `"url":"http://127.0.0.1:`)
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.wait(t)
	write(t, filepath.Join(dir, "it's here", tokenKeyFile), "x")
	damaged := launch(t, dir, nil, args...)
	if code := damaged.wait(t); code != exitFail || !strings.Contains(damaged.stderr.String(), tokenKeyFile) {
		t.Errorf("a damaged key file ended with %d: %s", code, damaged.stderr)
	}
	if got := shellQuoted("/tmp/it's here"); got != `'/tmp/it'\''s here'` {
		t.Errorf("quoted as %s", got)
	}
}

func TestDevNamesATakenPortAndAPublicAddress(t *testing.T) {
	t.Parallel()
	d := launchDev(t)
	taken := launch(t, t.TempDir(), nil, "dev", "--ephemeral", "--listen", strings.TrimPrefix(d.url, "http://"))
	if code := taken.wait(t); code != exitFail || !strings.Contains(taken.stderr.String(), "cannot listen on "+strings.TrimPrefix(d.url, "http://")) {
		t.Errorf("a taken port ended with %d: %s", code, taken.stderr)
	}
	public := launch(t, t.TempDir(), nil, "dev", "--ephemeral", "--listen", "0.0.0.0:0")
	if code := public.wait(t); code != exitUsage || !strings.Contains(public.stderr.String(), "--listen") {
		t.Errorf("a public address ended with %d: %s", code, public.stderr)
	}
}

// However early ctrl-C comes, nothing is left that stops the next run.
func TestCtrlCDuringTheStartLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"dev", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "data")}
	early := launch(t, dir, nil, args...)
	early.until(t, early.stderr, "making a database")
	if err := syscall.Kill(-early.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	early.wait(t)
	again := launch(t, dir, nil, args...)
	again.until(t, again.stdout, "Stop with ctrl-C")
}
