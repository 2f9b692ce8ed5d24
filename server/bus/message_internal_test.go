package bus

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

const testNode = "0123456789abcdef"

func TestAMessageReadsAsItIsWritten(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	got := write(testNode, []Hint{{ID: id, Version: 7}, {ID: uuid.UUID{}, Version: math.MaxInt64}})
	const want = testNode + " 01890a5dac96774bbcceb302099a8057:7,00000000000000000000000000000000:9223372036854775807"
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestHintsSurviveTheWay writes any hints and reads them again.
func TestHintsSurviveTheWay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hints := make([]Hint, rapid.IntRange(0, 600).Draw(t, "count"))
		for i := range hints {
			copy(hints[i].ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
			hints[i].Version = rapid.Int64Range(1, math.MaxInt64).Draw(t, "version")
		}
		var got []Hint
		for _, message := range write(testNode, hints) {
			if len(message) > maxMessage {
				t.Fatalf("a message has %d bytes", len(message))
			}
			node, rest, ok := sender(message)
			read, readable := read(rest)
			if !ok || !readable || node != testNode || len(read) == 0 {
				t.Fatalf("cannot read %q", message)
			}
			got = append(got, read...)
		}
		if !slices.Equal(got, hints) {
			t.Fatalf("got %v, want %v", got, hints)
		}
	})
}

func TestMessagesAreFull(t *testing.T) {
	t.Parallel()
	hints := make([]Hint, 1000)
	for i := range hints {
		hints[i].Version = math.MaxInt64
	}
	// 1000 hints of 53 bytes and a comma fill 6.6 messages.
	if got := len(write(testNode, hints)); got != 7 {
		t.Errorf("%d messages, want 7", got)
	}
}

func TestMessagesThatNobodyWrites(t *testing.T) {
	t.Parallel()
	const id = "01890a5dac96774bbcceb302099a8057"
	for name, message := range map[string]string{
		"nothing":                  "",
		"half a node":              testNode[:8],
		"a node in capitals":       strings.ToUpper(testNode),
		"a node and a space":       testNode + " ",
		"no space":                 testNode + id + ":1",
		"two spaces":               testNode + "  " + id + ":1",
		"an id in capitals":        testNode + " " + strings.ToUpper(id) + ":1",
		"an id with hyphens":       testNode + " 01890a5d-ac96-774b-bcce-b302099a8057:1",
		"a short id":               testNode + " " + id[1:] + ":1",
		"no version":               testNode + " " + id,
		"an empty version":         testNode + " " + id + ":",
		"version zero":             testNode + " " + id + ":0",
		"a negative version":       testNode + " " + id + ":-1",
		"a version with a plus":    testNode + " " + id + ":+1",
		"a leading zero":           testNode + " " + id + ":01",
		"a version in hexadecimal": testNode + " " + id + ":1f",
		"a version that overflows": testNode + " " + id + ":9223372036854775808",
		"two versions":             testNode + " " + id + ":1:2",
		"a comma at the end":       testNode + " " + id + ":1,",
		"a comma at the beginning": testNode + " ," + id + ":1",
		"a line break":             testNode + " " + id + ":1\n",
		"too long a message":       testNode + " " + strings.Repeat(id+":1,", 300) + id + ":1",
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			_, rest, ok := sender(message)
			if hints, readable := read(rest); ok && readable {
				t.Errorf("read as %v", hints)
			}
		})
	}
}

// FuzzMessage proves that whatever comes is refused, or is exactly what a node
// writes: nothing panics, and nothing grows beyond its message.
func FuzzMessage(f *testing.F) {
	for _, message := range write(testNode, []Hint{{Version: 1}, {ID: uuid.Max, Version: math.MaxInt64}}) {
		f.Add(message)
	}
	f.Add(hello(testNode))
	f.Add(testNode + " ,:,:")
	f.Fuzz(func(t *testing.T, message string) {
		node, rest, ok := sender(message)
		hints, readable := read(rest)
		if !ok || !readable {
			return
		}
		again := hello(node)
		if len(hints) > 0 {
			again = strings.Join(write(node, hints), "|")
		}
		if again != message {
			t.Errorf("%q was read and written as %q", message, again)
		}
	})
}
