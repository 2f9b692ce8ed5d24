package main

import "testing"

func TestDevRefusesStreamsThatClientsWouldMiss(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"--heartbeat: must be":      {"--heartbeat", "31s"},
		"--max-stream-age: must be": {"--max-stream-age", "20s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runBinary(t, t.TempDir(), nil, "", append([]string{"dev"}, args...)...).want(t, exitUsage, "", name)
		})
	}
}
