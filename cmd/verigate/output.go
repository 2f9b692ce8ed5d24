package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// streams is where a command reads and writes, and its environment.
type streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Getenv reads an environment variable; empty when it is not set.
	Getenv func(string) string
	// IsTerminal tells that a person looks at Out.
	IsTerminal bool
}

// columnGap is the space between the columns of a table.
const columnGap = 2

// writeJSON prints a message as one line of JSON. Fields with default values
// are there, so that scripts find what they look for.
func writeJSON(w io.Writer, m proto.Message) error {
	text, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode the answer as JSON: %w", err)
	}
	// protojson varies its spaces on purpose.
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return fmt.Errorf("encode the answer as JSON: %w", err)
	}
	line.WriteByte('\n')
	_, err = line.WriteTo(w)
	return err
}

// printJSON prints any value as one line of JSON.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // it is for people and scripts, not for a page
	return encoder.Encode(value)
}

// writePairs prints names and values in two columns; pairs without a value are
// left out.
func writePairs(w io.Writer, pairs [][2]string) error {
	table := tabwriter.NewWriter(w, 0, 0, columnGap, ' ', 0)
	for _, pair := range pairs {
		if pair[1] != "" {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", pair[0], printable(pair[1]))
		}
	}
	return table.Flush()
}

// writeVerification prints everything that a verification tells.
func writeVerification(w io.Writer, v *verigatev1.Verification, zone *time.Location) error {
	pairs := [][2]string{
		{"id", v.GetId()},
		{"flow", v.GetFlow()},
		{"environment", v.GetEnvironment()},
		{"subject", v.GetSubject()},
		{"reference", v.GetReference()},
		{"state", stateName(v.GetState())},
		{"result", resultName(v.GetResult())},
		{"reasons", strings.Join(v.GetReasonCodes(), ", ")},
		{"version", strconv.FormatInt(v.GetVersion(), 10)},
		{"match", matchName(v.GetMatch())},
		{"hosted url", v.GetHostedUrl()},
		{"created", moment(v.GetCreateTime(), zone)},
		{"updated", moment(v.GetUpdateTime(), zone)},
		{"expires", moment(v.GetExpireTime(), zone)},
	}
	for _, key := range sortedKeys(v.GetMetadata()) {
		pairs = append(pairs, [2]string{"metadata " + printable(key), v.GetMetadata()[key]})
	}
	return writePairs(w, pairs)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

const (
	statePrefix  = "VERIFICATION_STATE_"
	resultPrefix = "VERIFICATION_RESULT_"
	matchPrefix  = "VERIFICATION_MATCH_"
	nameless     = "UNSPECIFIED"
)

// stateName is a state in the words of the documentation: in_review. A state
// that this command does not know keeps its number.
func stateName(s verigatev1.VerificationState) string { return plainName(s.String(), statePrefix) }

func resultName(r verigatev1.VerificationResult) string { return plainName(r.String(), resultPrefix) }

func matchName(m verigatev1.VerificationMatch) string { return plainName(m.String(), matchPrefix) }

func plainName(name, prefix string) string {
	name = strings.TrimPrefix(name, prefix)
	if name == nameless {
		return ""
	}
	return strings.ToLower(name)
}

// stateNames lists the states in the order of a verification's life.
func stateNames() []string {
	values := verigatev1.VerificationState(0).Descriptor().Values()
	names := make([]string, 0, values.Len())
	for i := range values.Len() {
		if name := plainName(string(values.Get(i).Name()), statePrefix); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// moment shows a time in the reader's zone; empty when there is none.
func moment(t *timestamppb.Timestamp, zone *time.Location) string {
	if t == nil {
		return ""
	}
	return t.AsTime().In(zone).Format(time.DateTime + " MST")
}

// printable replaces what could steer a terminal: texts come from callers and
// servers.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// printableLines is printable for a text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// harmless is what a shell takes as it stands.
var harmless = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+=,-]*$`)

// shellWord quotes a text for a POSIX shell where that is needed.
func shellWord(text string) string {
	if harmless.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
