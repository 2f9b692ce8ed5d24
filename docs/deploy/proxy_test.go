package deploy_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// proxy is a program that runs one file of this folder.
type proxy struct {
	// name is that of the program and of the subtest.
	name string
	file string
	// install is what to do where the program is missing.
	install string
	// place is where that puts it, if not on the path.
	place string
	// swaps are where this test's machine differs from the one that the file is
	// written for.
	swaps func(s *site) []swap
	// times are the lines of the file whose times shrink.
	times []string
	// command is how the program runs in the foreground.
	command func(s *site) []string
	// reload makes the running program read its file again; nil where it cannot.
	reload func(t *testing.T, s *site)
	// refused and alsoRefused are how the file answers what it does not route,
	// and the same with another status: a reload from one to the other shows.
	refused, alsoRefused string
}

// swap replaces a text of a file, wherever it occurs; it must occur.
type swap struct{ old, new string }

// site is one running proxy in front of one gateway.
type site struct {
	*gateway

	proxy   proxy
	running *process
	dir     string
	// host and port are where the proxy listens, admin where it is told things.
	host        string
	port, admin int
	certificate certificate
	config      string
}

// longTime finds the times that must shrink: whatever a stream may meet.
var longTime = regexp.MustCompile(`\b(\d+)(s|m)\b`)

// openSite starts a proxy on its file in front of a gateway. The changes are made
// to the file before its times shrink.
func openSite(t *testing.T, p proxy, g *gateway, changes ...swap) *site {
	t.Helper()
	s := &site{gateway: g, proxy: p, dir: t.TempDir(), host: loopback()}
	s.port, s.admin = freePort(t, s.host), freePort(t, s.host)
	s.certificate = newCertificate(t, s.dir)
	s.config = filepath.Join(s.dir, p.file)
	s.write(t, changes...)
	homes := []string{"HOME=" + s.dir, "XDG_DATA_HOME=" + s.dir, "XDG_CONFIG_HOME=" + s.dir}
	s.running = launch(t, s.dir, homes, p.find(t), p.command(s)...)
	// Asked to end, some wait for their streams.
	t.Cleanup(func() { _ = syscall.Kill(-s.running.cmd.Process.Pid, syscall.SIGKILL) })
	s.serves(t)
	return s
}

// find returns where the program is.
func (p proxy) find(t *testing.T) string {
	t.Helper()
	// An administrator's folder is not on everybody's path.
	for _, candidate := range []string{os.Getenv(strings.ToUpper(p.name) + "_BINARY"), p.name, "/usr/sbin/" + p.name, p.place} {
		if path, err := exec.LookPath(candidate); err == nil {
			absolute, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			return absolute
		}
	}
	t.Fatalf("missing tool: %s; %s", p.name, p.install)
	return ""
}

// write makes the proxy's configuration of the file.
func (s *site) write(t *testing.T, changes ...swap) {
	t.Helper()
	original, err := os.ReadFile(s.proxy.file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(original)
	for _, change := range changes {
		text = change.in(t, s.proxy.file, text)
	}
	for _, line := range s.proxy.times {
		if len(changes) > 0 && !strings.Contains(text, line) {
			continue // A change took it out.
		}
		text = swap{line, shorter(line)}.in(t, s.proxy.file, text)
	}
	for _, entry := range s.proxy.swaps(s) {
		text = entry.in(t, s.proxy.file, text)
	}
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c swap) in(t *testing.T, file, text string) string {
	t.Helper()
	if !strings.Contains(text, c.old) {
		t.Fatalf("%s does not contain %q", file, c.old)
	}
	return strings.ReplaceAll(text, c.old, c.new)
}

// shorter shrinks the time in a line, as the heartbeat is.
func shorter(line string) string {
	return longTime.ReplaceAllStringFunc(line, func(text string) string {
		d, err := time.ParseDuration(text)
		if err != nil {
			return text
		}
		// All of these programs read seconds.
		return strconv.Itoa(int((d / shrink).Round(time.Second).Seconds())) + "s"
	})
}

// serves waits until the proxy passes on that the gateway is ready.
func (s *site) serves(t *testing.T) {
	t.Helper()
	await(t, s.running, func() error {
		a, err := s.try(t, http1, http.MethodGet, callersHost, "/readyz", "")
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("GET /readyz: %d", a.status)
		}
		return err
	})
}

// await asks again and again until there is no error.
func await(t *testing.T, p *process, ask func() error) {
	t.Helper()
	const pause = 50 * time.Millisecond
	again := time.NewTicker(pause)
	defer again.Stop()
	late := time.After(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-p.exited:
			t.Fatalf("%s ended\n%s", p.cmd.Path, p.output)
		case <-late:
			t.Fatalf("after %s: %v\n%s", patience, err, p.output)
		}
	}
}

// Each time of a file that a stream may meet is among those that the tests
// shrink; so nobody adds one that the tests would not notice.
func TestEveryLongTimeOfAFileIsTested(t *testing.T) {
	t.Parallel()
	for _, p := range proxies() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			original, err := os.ReadFile(p.file)
			if err != nil {
				t.Fatal(err)
			}
			text := string(original)
			for _, line := range p.times {
				text = swap{line, ""}.in(t, p.file, text)
			}
			for line := range strings.Lines(text) {
				line, _, _ = strings.Cut(line, "#")
				for _, found := range longTime.FindAllString(line, -1) {
					if d, err := time.ParseDuration(found); err == nil && d > shortTime {
						t.Errorf("%s: %q is longer than %s and not among the times that shrink", p.file, strings.TrimSpace(line), shortTime)
					}
				}
			}
		})
	}
}

// shortTime is the longest time that tests leave alone: how long a connection or
// the head of a request may take. To shrink these would test the machine.
const shortTime = 10 * time.Second
