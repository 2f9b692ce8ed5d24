package verigate_test

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// scenario is one behaviour, on a gateway that others use at the same time.
type scenario func(b *bench)

// scenarios has the names of ../scenarios.md.
func scenarios() map[string]scenario {
	return map[string]scenario{
		"the first message is the current state":                                        firstMessage,
		"each version is yielded once and in order":                                     onceInOrder,
		"a watch ends after a terminal message":                                         endsAfterTerminal,
		"a cut connection is resumed from the last version":                             cutIsResumed,
		"a truncated stream that looks complete is resumed":                             truncatedIsResumed,
		"a stream that ends well without a terminal message is resumed":                 endedIsResumed,
		"a stalled stream is noticed after three heartbeats":                            stallIsNoticed,
		"a half-open connection is noticed after three heartbeats":                      halfOpenIsNoticed,
		"pauses grow with each failure and are reset by a message, not by a connection": pausesGrow,
		"a server that asks to wait is given the time":                                  askedPauseIsGiven,
		"an error that retrying cannot heal ends the watch":                             hopelessEnds,
		"a token is asked for anew when it is refused":                                  tokenIsRenewed,
		"when streams keep failing it polls, and later tries a stream again":            polls,
		"stopping the consumer cancels the call":                                        breakCancels,
		"cancelling from outside cancels the call":                                      contextCancels,
		"a slow consumer loses nothing and is not taken for a dead line":                slowConsumer,
		"followed revisions are yielded and the watch goes on":                          revisions,
		"several watches at once do not hold up other calls":                            severalWatches,
		"a call that the gateway refuses says why":                                      refusalSaysWhy,
	}
}

// lonely are the scenarios on a gateway that is restarted, or that drains.
func lonely() map[string]func(t *testing.T) {
	return map[string]func(t *testing.T){
		"a drain is obeyed":                          drainIsObeyed,
		"a server restart in the middle is survived": restartIsSurvived,
		"the ten-line program survives a server restart and prints the one right result": tenLinesSurvive,
	}
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	shared := startGateway(t, "--ephemeral")
	for name, run := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for line, http2 := range map[string]bool{"HTTP1": false, "HTTP2": true} {
				t.Run(line, func(t *testing.T) {
					t.Parallel()
					run(newBench(t, shared, http2))
				})
			}
		})
	}
	for name, run := range lonely() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t)
		})
	}
}

func TestEveryScenarioOfTheListIsTested(t *testing.T) {
	t.Parallel()
	list, err := os.Open("../scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	wanted := map[string]bool{}
	column := 0
	for lines := bufio.NewScanner(list); lines.Scan(); {
		cells := strings.Split(lines.Text(), "|")
		if column == 0 {
			for i, cell := range cells {
				if strings.TrimSpace(cell) == "Go" {
					column = i
				}
			}
		} else if len(cells) > column && strings.TrimSpace(cells[column]) == "yes" {
			wanted[strings.TrimSpace(cells[1])] = true
		}
	}
	tested := map[string]bool{}
	for name := range scenarios() {
		tested[name] = true
	}
	for name := range lonely() {
		tested[name] = true
	}
	for name := range wanted {
		if !tested[name] {
			t.Errorf("no test of %q", name)
		}
	}
	for name := range tested {
		if !wanted[name] {
			t.Errorf("%q is not marked for Go in the list", name)
		}
	}
}
