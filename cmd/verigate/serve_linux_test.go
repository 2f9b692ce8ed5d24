package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Everybody on a machine can read everybody's command lines.
func TestNoSecretIsInTheProcessList(t *testing.T) {
	t.Parallel()
	const subject = "person-in-private"
	r := newSite(t).serve(t)
	id := r.begin(t, subject, "order-1")
	watching := launch(t, r.dir, r.as(r.public, r.backend), "watch", id)
	watching.until(t, watching.stdout, "pending")
	referring := launch(t, r.dir, append(r.env, "MY_KEY="+r.backend), "watch", id, "--url", r.public, "--api-key", "${MY_KEY}")
	referring.until(t, referring.stdout, "pending")
	stdin, typing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	erasing := launchReading(t, r.dir, r.as(r.operator, r.onCall), stdin, "erase", "--subject", "-", "--reason", "t", "--yes")

	dsn, err := url.Parse(r.dsn)
	if err != nil {
		t.Fatal(err)
	}
	dsn.User = url.UserPassword(dsn.User.Username(), secretMark)
	borrowing := launch(t, t.TempDir(), []string{"DEV_DATABASE=" + dsn.String()}, "dev", "--listen", "127.0.0.1:0", "--database-url", "${DEV_DATABASE}")
	borrowing.until(t, borrowing.stdout, "Stop with ctrl-C")
	d := launchDev(t)

	secrets := []string{secretMark, subject, secretOf(r.backend), secretOf(r.onCall), secretOf(d.key)}
	for _, file := range []string{tokenKeyFile, encryptionKeyFile} {
		content, err := os.ReadFile(filepath.Join(d.dir, ".verigate", file))
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, string(content))
	}
	for word, p := range map[string]*process{
		" serve ": r.process, " watch ": watching, " --api-key ": referring, " erase ": erasing, " --database-url ": borrowing, "postgres": d.process,
	} {
		lines := commandLines(strconv.Itoa(p.cmd.Process.Pid))
		if !strings.Contains(lines, word) {
			t.Errorf("%q is not the command line of %s", lines, word)
		}
		for _, secret := range secrets {
			if strings.Contains(lines, secret) {
				t.Errorf("a secret or a subject is in the process list of %s", word)
			}
		}
	}
	if _, err := io.WriteString(typing, subject+"\n"); err != nil {
		t.Fatal(err)
	}
	if err := typing.Close(); err != nil {
		t.Fatal(err)
	}
	if code := erasing.wait(t); code != exitPass || !strings.Contains(erasing.stdout.String(), "erased 1 verifications") {
		t.Errorf("erase ended with %d: %s%s", code, erasing.stdout, erasing.stderr)
	}
}

// commandLines are those of a process and of all that it started. Whatever ends
// meanwhile is not among them.
func commandLines(pid string) string {
	folder := filepath.Join("/proc", pid)
	content, err := os.ReadFile(filepath.Join(folder, "cmdline"))
	if err != nil {
		return ""
	}
	text := string(bytes.ReplaceAll(content, []byte{0}, []byte{' '})) + "\n"
	threads, err := filepath.Glob(filepath.Join(folder, "task", "*", "children"))
	if err != nil {
		return text
	}
	for _, path := range threads {
		children, _ := os.ReadFile(path)
		for _, child := range strings.Fields(string(children)) {
			text += commandLines(child)
		}
	}
	return text
}

// Linux has more than one loopback address without any set-up.
func TestThreeListenersServeWhatEachIsFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.configure(t, strings.NewReplacer("webhooks: {address: 127.0.0.1:0}", "webhooks: {address: 127.0.0.2:0}",
		"operator: {address: localhost:0}", "operator: {address: 127.0.0.3:0}").Replace(siteConfig))
	node := launch(t, s.dir, s.env, "serve", "--json")
	node.until(t, node.stdout, "\n")
	var served struct {
		Listeners map[string]string `json:"listeners"`
	}
	if err := json.Unmarshal([]byte(node.stdout.String()), &served); err != nil || len(served.Listeners) != 3 {
		t.Fatalf("serve --json printed %s", node.stdout)
	}
	const absent, refused = http.StatusNotFound, http.StatusUnauthorized
	for path, want := range map[string][3]int{
		"/livez": {http.StatusOK, http.StatusOK, http.StatusOK},
		"/verigate.v1.VerificationService/ListVerifications": {refused, absent, absent},
		"/verigate.v1.OperatorService/ListApiKeys":           {absent, absent, refused},
		"/webhooks/verifyhuman-live":                         {absent, refused, absent},
		"/metrics":                                           {absent, absent, http.StatusOK},
	} {
		for i, name := range []string{"public", "webhooks", "operator"} {
			if got := askFor(t, "http://"+served.Listeners[name]+path); got != want[i] {
				t.Errorf("%s on %s: %d, want %d", path, name, got, want[i])
			}
		}
	}
}

// askFor is the status of a request: a JSON call, or a look at a page.
func askFor(t *testing.T, address string) int {
	t.Helper()
	method, body := http.MethodPost, "{}"
	if strings.HasSuffix(address, "/metrics") || strings.HasSuffix(address, "/livez") {
		method, body = http.MethodGet, ""
	}
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode
}
