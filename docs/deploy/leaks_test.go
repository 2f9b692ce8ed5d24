package deploy_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// personal is in the query, a header and the body of every request of these
// tests, and has no business outside of the proxy's memory.
const personal = "nobody-may-read-this"

// What goes wrong at the gateway is no reason for a proxy to write down whose
// request it was: a nonce of the way back, a reference, an address.
func TestNoProxyWritesDownWhatFailed(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T){}
	for _, p := range proxies() {
		tests[p.name] = func(t *testing.T) {
			if found := written(t, p); len(found) > 0 {
				t.Error(strings.Join(found, "\n"))
			}
		}
	}
	together(t, tests)
}

// What the page offers for a while of looking does show requests; so the test
// above would see one.
func TestTheErrorLogsShowRequestsWhereTheyAreTurnedOn(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T){}
	for _, c := range []struct {
		proxy   proxy
		changes []swap
	}{
		{nginx(), []swap{{"error.log crit;", "error.log error;"}}},
		{caddy(), []swap{{"\t\texclude http.log.error\n", ""}}},
		{haproxy(), []swap{{"local0 notice", "local0 info"}, {"    log global\n", "    log global\n    option httplog\n"}}},
	} {
		tests[c.proxy.name] = func(t *testing.T) {
			if len(written(t, c.proxy, c.changes...)) == 0 {
				t.Error("nothing was written")
			}
		}
	}
	together(t, tests)
}

// written lets every kind of request fail, first in the middle of its answer,
// then because nobody is there. It returns where the proxy wrote about them.
func written(t *testing.T, p proxy, changes ...swap) []string {
	t.Helper()
	up := openUpstream(t)
	s := openSite(t, p, up.gateway, changes...)
	for _, version := range []int{http1, http2} {
		if a, err := s.fails(t, version, callersHost, halfPath, "text/plain"); err == nil {
			t.Errorf("HTTP %d: half an answer arrived as a whole: %d %q", version, a.status, a.body)
		}
	}
	up.stop()
	for _, version := range []int{http1, http2} {
		for _, c := range []struct{ host, path, media string }{
			{callersHost, "/return/x", "text/plain"},
			{callersHost, "/verigate.v1.VerificationService/GetVerification", "application/grpc"},
			{providersHost, "/webhooks/x", "application/json"},
		} {
			a, err := s.fails(t, version, c.host, c.path, c.media)
			if err != nil || a.status < http.StatusInternalServerError && a.header.Get("Grpc-Status") == "" {
				t.Errorf("HTTP %d: %s%s without a gateway: %d, %v", version, c.host, c.path, a.status, err)
			}
		}
	}
	// What it has to say is said once it has ended.
	s.running.signal(syscall.SIGTERM)
	s.running.wait(t)
	found := s.filesWith(t)
	for line := range strings.Lines(s.running.output.String()) {
		if strings.Contains(line, personal) || strings.Contains(line, callerAddress) {
			found = append(found, "printed: "+line)
		}
	}
	return found
}

// fails sends a request that says the personal thing wherever one can.
func (s *site) fails(t *testing.T, version int, host, path, media string) (answer, error) {
	t.Helper()
	return s.try(t, version, http.MethodPost, host, path+"?nonce="+personal, personal, "Content-Type: "+media, "X-Personal: "+personal)
}

// filesWith returns which files of the proxy's folder have it.
func (s *site) filesWith(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte(personal)) {
			found = append(found, "in "+path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The body of a request, as large as it may be, stays in memory on its way.
func TestNoProxyWritesBodiesToDisk(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T){}
	for _, p := range proxies() {
		tests[p.name] = func(t *testing.T) {
			for name, found := range spooled(t, p) {
				if len(found) > 0 {
					t.Errorf("%s: %v", name, found)
				}
			}
		}
	}
	together(t, tests)
}

// Without the lines nginx does write them; so the test above would see one.
func TestNginxWritesBodiesToDiskWhereItsBufferIsSmaller(t *testing.T) {
	t.Parallel()
	for name, found := range spooled(t, nginx(), swap{"client_body_buffer_size 1024k;", ""}, swap{"client_body_buffer_size 128k;", ""}) {
		if len(found) == 0 {
			t.Errorf("%s: nothing was written", name)
		}
	}
}

// spooled sends bodies through the proxy and returns, for each, which files had
// it while the gateway was at work.
func spooled(t *testing.T, p proxy, changes ...swap) map[string][]string {
	t.Helper()
	up := openUpstream(t)
	s := openSite(t, p, up.gateway, changes...)
	found := make(map[string][]string)
	for _, version := range []int{http1, http2} {
		for _, c := range []struct {
			host, path string
			size       int
		}{
			{callersHost, heldPath, 128 << 10},
			{providersHost, heldPath, 54 << 10},
			{providersHost, heldPath, 1 << 20},
		} {
			name := fmt.Sprintf("%d bytes to %s over HTTP %d", c.size, c.host, version)
			found[name] = s.whileHeld(t, up, func() error {
				body := strings.Repeat(personal+"\n", c.size)[:c.size]
				a, err := s.try(t, version, http.MethodPost, c.host, c.path, body, "Content-Type: application/json")
				if err == nil && a.body != strconv.Itoa(c.size) {
					err = fmt.Errorf("answered %d %q", a.status, a.body)
				}
				return err
			})
		}
	}
	return found
}

// whileHeld looks into the proxy's files once the whole request is at the other
// side, which holds its answer back meanwhile.
func (s *site) whileHeld(t *testing.T, up *upstream, send func() error) []string {
	t.Helper()
	answered := make(chan error, 1)
	go func() { answered <- send() }()
	select {
	case <-up.arrived:
	case err := <-answered:
		t.Fatalf("answered before it arrived: %v\n%s", err, s.running.output)
	case <-time.After(patience):
		t.Fatalf("it did not arrive within %s\n%s", patience, s.running.output)
	}
	found := append(s.filesWith(t), s.openFilesWith(t)...)
	select {
	case up.leave <- struct{}{}:
	case err := <-answered:
		t.Fatalf("answered while it was held: %v\n%s", err, s.running.output)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	return found
}

// openFilesWith returns which files that the proxy's processes have open, wherever
// they are and though their names may be gone, have it.
func (s *site) openFilesWith(t *testing.T) []string {
	t.Helper()
	folders, err := filepath.Glob("/proc/[0-9]*/fd")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	mine := 0
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
		if err != nil {
			t.Fatal(err)
		}
		if group, err := syscall.Getpgid(pid); err != nil || group != s.running.cmd.Process.Pid {
			continue
		}
		mine++
		open, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil || len(open) == 0 {
			t.Fatalf("cannot see what process %d has open: %v", pid, err)
		}
		for _, file := range open {
			if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
				continue
			}
			if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(personal)) {
				name, _ := os.Readlink(file)
				found = append(found, "open: "+name)
			}
		}
	}
	if mine == 0 {
		t.Fatalf("found no process of %s", s.proxy.name)
	}
	return found
}
