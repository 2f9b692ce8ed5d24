package verification

import (
	"fmt"
	"strings"
)

// Mermaid draws the state machine in the notation of Mermaid's state diagrams.
// Each arrow carries the events that take it; what a decision does to an
// expired verification within its grace period is marked. An event that changes
// nothing (duplicate, stale, refused) has no arrow.
func Mermaid() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	fmt.Fprintf(&b, "    [*] --> %s: %s\n", Created, Started)
	for _, from := range States() {
		drawArrows(&b, from, false, "")
		if from == Expired {
			drawArrows(&b, from, true, " (in grace)")
		}
	}
	for _, state := range States() {
		if state.Terminal() {
			fmt.Fprintf(&b, "    %s --> [*]\n", state)
		}
	}
	return b.String()
}

// drawArrows draws one arrow for each state that is reached, with all events
// that lead there.
func drawArrows(b *strings.Builder, from State, inGrace bool, remark string) {
	events := map[State][]string{}
	for _, event := range EventKinds() {
		if next, effect := Next(from, event, inGrace); effect == Applied {
			events[next] = append(events[next], string(event))
		}
	}
	for _, next := range States() {
		if labels := events[next]; len(labels) > 0 {
			fmt.Fprintf(b, "    %s --> %s: %s%s\n", from, next, strings.Join(labels, ", "), remark)
		}
	}
}
