package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/verigate/verigate/docs/integrate/devtest"
)

func env(change map[string]string) func(string) string {
	values := map[string]string{"VERIGATE_URL": "http://127.0.0.1:1", "VERIGATE_API_KEY": "vg_test_key", "VERIGATE_CALLBACK_SECRET": secret}
	for name, value := range change {
		values[name] = value
	}
	return func(name string) string { return values[name] }
}

func TestTheExampleSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{env: map[string]string{"VERIGATE_URL": ""}, want: "VERIGATE_URL is not set; load dev.env"},
		{env: map[string]string{"VERIGATE_API_KEY": ""}, want: "VERIGATE_API_KEY is not set"},
		{env: map[string]string{"VERIGATE_CALLBACK_SECRET": ""}, want: "VERIGATE_CALLBACK_SECRET is not set"},
		{env: map[string]string{"VERIGATE_CALLBACK_SECRET": "not base64"}, args: []string{"--listen", "127.0.0.1:0"}, want: "the callback secret"},
		{args: []string{"--listen", "0.0.0.0:0"}, want: "--listen: this example believes every caller"},
		{args: []string{"--listen", "127.0.0.1"}, want: "--listen: "},
	} {
		// A mistake that goes unnoticed must not serve for ever.
		ctx, cancel := context.WithTimeout(t.Context(), devtest.Patience)
		err := run(ctx, c.args, env(c.env), io.Discard, slog.New(slog.DiscardHandler))
		cancel()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %v: %v, want %q", c.args, c.env, err, c.want)
		}
	}
}

func TestTheExampleServesUntilItIsStopped(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	output, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--listen", "127.0.0.1:0"}, env(nil), out, slog.New(slog.DiscardHandler))
	}()
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, url, _ := strings.Cut(strings.TrimSpace(line), " at ")
	response, err := http.Get(url + "/me")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("GET /me answered %d, want 401", response.StatusCode)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}
