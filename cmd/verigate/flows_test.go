package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// told is what a backend gets to know of an event.
type told struct {
	Event struct {
		ID             string `json:"id"`
		Kind           string `json:"kind"`
		VerificationID string `json:"verificationId"`
		State          string `json:"state"`
		Version        string `json:"version"`
		Revision       bool   `json:"revision"`
	} `json:"event"`
}

// story is what is told of one verification, in the order in which it came.
func story(t *testing.T, output, verification string, wrapped bool) []told {
	t.Helper()
	var events []told
	for line := range strings.Lines(output) {
		var one told
		target := any(&one.Event)
		if wrapped {
			target = &one
		}
		if err := json.Unmarshal([]byte(line), target); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if one.Event.VerificationID == verification {
			events = append(events, one)
		}
	}
	return events
}

// backend runs the real receiver, beside dev.env, until the test ends.
func (d *runningDev) backend(t *testing.T) (*process, string) {
	t.Helper()
	p := launch(t, d.dir, nil, "callbacks", "receive", "--listen", "127.0.0.1:0", "--json")
	p.until(t, p.stderr, "Stop with ctrl-C.")
	return p, regexp.MustCompile(`http://[0-9.:]+/`).FindString(p.stderr.String())
}

// begin starts a verification that tells the backend everything.
func (d *runningDev) begin(t *testing.T, flow, backend string) string {
	t.Helper()
	started, code := d.cli(t, "start", "--flow", flow, "--subject", "u1", "--json", "--redirect-url", "myapp://verify-complete",
		"--callback-url", backend, "--events-callback-url", backend)
	if code != exitPass {
		t.Fatalf("start of %s ended with %d: %s", flow, code, started)
	}
	var message map[string]any
	if err := json.Unmarshal([]byte(started), &message); err != nil {
		t.Fatal(err)
	}
	return dig(message, "verification", "id")
}

// version is the verification's, as get shows it.
func (d *runningDev) version(t *testing.T, id string) int {
	t.Helper()
	got, code := d.cli(t, "get", id, "--json")
	found := regexp.MustCompile(`"version":"([0-9]+)"`).FindStringSubmatch(got)
	if code != exitPass || len(found) == 0 {
		t.Fatalf("get ended with %d: %s", code, got)
	}
	version, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// The three flows of dev by the command line alone, with a backend that verifies
// what it is sent.
func TestEachFlowRunsToItsResultAndTheBackendHearsEachStepOnceAndInOrder(t *testing.T) {
	t.Parallel()
	d := launchDev(t)
	receiver, address := d.backend(t)
	for _, c := range []struct {
		flow, outcome string
		code          int
		end           string
	}{
		{"identity", "pass", exitPass, "VERIFICATION_STATE_APPROVED"},
		{"age-gate", "fail", exitFail, "VERIFICATION_STATE_DECLINED"},
		{"kyc", "pass", exitPass, "VERIFICATION_STATE_APPROVED"},
	} {
		id := d.begin(t, c.flow, address)
		if output, code := d.cli(t, "sandbox", "complete", id, "--outcome", c.outcome, "--fault", "duplicate=2"); code != exitPass {
			t.Fatalf("%s: sandbox complete ended with %d: %s", c.flow, code, output)
		}
		if output, code := d.cli(t, "watch", id); code != c.code {
			t.Fatalf("%s: watch ended with %d, want %d: %s", c.flow, code, c.code, output)
		}
		d.heard(t, receiver, id, c.end)
	}
	if strings.Contains(receiver.stderr.String(), "401") {
		t.Errorf("something did not verify:\n%s", receiver.stderr)
	}
}

func TestABackendHearsAReviewersRevision(t *testing.T) {
	t.Parallel()
	d := launchDev(t)
	receiver, address := d.backend(t)
	id := d.begin(t, "kyc", address)
	d.cli(t, "sandbox", "complete", id, "--outcome", "pass")
	if output, code := d.cli(t, "watch", id); code != exitPass {
		t.Fatalf("watch ended with %d: %s", code, output)
	}
	if output, code := d.cli(t, "sandbox", "case", id, "--result", "declined", "--reason", "FAKE_ID"); code != exitPass {
		t.Fatalf("sandbox case ended with %d: %s", code, output)
	}
	receiver.until(t, receiver.stdout, "EVENT_KIND_REVISED_TO_REJECTED")
	d.heard(t, receiver, id, "VERIFICATION_STATE_DECLINED")
	events := story(t, receiver.stdout.String(), id, false)
	last := events[len(events)-1].Event
	if !last.Revision || last.Kind != "EVENT_KIND_REVISED_TO_REJECTED" {
		t.Errorf("the last message is %+v", last)
	}
}

// heard checks that the backend got one message for each change of a
// verification, in order, and the same ones that the event stream has.
func (d *runningDev) heard(t *testing.T, receiver *process, id, end string) {
	t.Helper()
	version := d.version(t, id)
	receiver.until(t, receiver.stdout, fmt.Sprintf("%q", fmt.Sprintf("%s.%d", id, version)))
	got := story(t, receiver.stdout.String(), id, false)
	streamed, code := d.cli(t, "events", "--json")
	if code != exitPass {
		t.Fatalf("events ended with %d", code)
	}
	if want := story(t, streamed, id, true); !slices.Equal(got, want) {
		t.Errorf("the backend was told\n%+v\nand the event stream has\n%+v", got, want)
	}
	for i, one := range got {
		if one.Event.Version != strconv.Itoa(i+1) {
			t.Errorf("message %d has version %s", i+1, one.Event.Version)
		}
	}
	if len(got) != version || got[len(got)-1].Event.State != end {
		t.Errorf("%d messages end in %+v, want %d that end in %s", len(got), got[len(got)-1], version, end)
	}
}
