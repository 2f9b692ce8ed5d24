package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait. Nothing waits for it to pass.
const patience = 30 * time.Second

// started is a running main.
type started struct {
	stdin  *io.PipeWriter
	code   chan int
	stderr bytes.Buffer
	URL    string
	// Control is where the control API is.
	Control string
}

func start(t *testing.T) *started {
	t.Helper()
	in, stdin := io.Pipe()
	out, stdout := io.Pipe()
	s := &started{stdin: stdin, code: make(chan int, 1)}
	go func() { s.code <- run([]string{"--upstream", "http://127.0.0.1:1"}, in, stdout, &s.stderr) }()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, s); err != nil || s.URL == "" {
		t.Fatalf("%v: %s", err, line)
	}
	return s
}

func (s *started) wantEnd(t *testing.T) {
	t.Helper()
	select {
	case code := <-s.code:
		if code != 0 {
			t.Errorf("exit code %d: %s", code, s.stderr.String())
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	if answer, err := http.Get(s.Control + "/calls"); err == nil {
		_ = answer.Body.Close()
		t.Error("it still answers")
	}
}

func TestItServesUntilStandardInputIsClosed(t *testing.T) {
	s := start(t)
	answer, err := http.Get(s.Control + "/calls")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	_ = s.stdin.Close()
	s.wantEnd(t)
}

func TestItServesUntilItIsTerminated(t *testing.T) {
	s := start(t)
	defer s.stdin.Close()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.wantEnd(t)
}

func TestItSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"upstream: must be":       nil,
		"not defined: -unknown":   {"--unknown"},
		`"more": takes flags`:     {"more"},
		"listen: must be":         {"--upstream", "http://127.0.0.1:1", "--listen", ":0"},
		"upstream: must be on lo": {"--upstream", "http://192.0.2.1:1"},
	} {
		var stderr bytes.Buffer
		if code := run(args, strings.NewReader(""), io.Discard, &stderr); code == 0 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%v: %d %s", args, code, stderr.String())
		}
	}
}
