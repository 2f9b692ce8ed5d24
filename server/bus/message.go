package bus

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// A message is text, because a payload of Postgres is:
//
//	message = node [ " " hint *( "," hint ) ]
//	node    = 16 hexadecimal digits
//	hint    = 32 hexadecimal digits of the id ":" the version in decimal
//
// Digits are in lower case and versions have no leading zero, so that there is
// one way to write each message. One without hints is a node looking whether it
// hears itself. The channel and the subject carry the format's version.

const (
	// maxMessage is the longest message in bytes: Postgres refuses payloads of 8000
	// and more (its manual, NOTIFY).
	maxMessage = 7999
	nodeDigits = 2 * nodeBytes
	idDigits   = 2 * len(uuid.UUID{})
	// maxVersionDigits is the length of the largest int64.
	maxVersionDigits = 19
	decimal          = 10
	versionBits      = 64
)

// hello is the message without hints.
func hello(node string) string { return node }

// write returns messages that hold all hints, each as many as it can.
func write(node string, hints []Hint) []string {
	const longest = idDigits + 1 + maxVersionDigits + 1
	var messages []string
	text := make([]byte, 0, min(maxMessage, len(node)+len(hints)*longest))
	for _, h := range hints {
		if len(text)+longest > maxMessage {
			messages, text = append(messages, string(text)), text[:0]
		}
		if len(text) == 0 {
			text = append(append(text, node...), ' ')
		} else {
			text = append(text, ',')
		}
		text = append(hex.AppendEncode(text, h.ID[:]), ':')
		text = strconv.AppendInt(text, h.Version, decimal)
	}
	if len(text) > 0 {
		messages = append(messages, string(text))
	}
	return messages
}

// sender returns which node a message is from and what follows its name; ok is
// false for what no node of this release writes.
func sender(message string) (node, rest string, ok bool) {
	if len(message) > maxMessage || len(message) < nodeDigits || !isHex(message[:nodeDigits]) {
		return "", "", false
	}
	node, rest = message[:nodeDigits], message[nodeDigits:]
	if rest == "" {
		return node, "", true
	}
	// What follows is read by read, which wants at least one hint.
	return node, rest[1:], rest[0] == ' ' && rest != " "
}

// read returns the hints that follow a node's name; ok is false unless all of
// them are well formed.
func read(rest string) (hints []Hint, ok bool) {
	if rest == "" {
		return nil, true
	}
	hints = make([]Hint, 0, strings.Count(rest, ",")+1)
	for text := range strings.SplitSeq(rest, ",") {
		h, ok := readHint(text)
		if !ok {
			return nil, false
		}
		hints = append(hints, h)
	}
	return hints, true
}

func readHint(text string) (h Hint, ok bool) {
	digits, version, found := strings.Cut(text, ":")
	if !found || len(digits) != idDigits || !isHex(digits) || version == "" || version[0] < '1' || version[0] > '9' {
		return Hint{}, false
	}
	if _, err := hex.Decode(h.ID[:], []byte(digits)); err != nil {
		return Hint{}, false
	}
	var err error
	h.Version, err = strconv.ParseInt(version, decimal, versionBits)
	return h, err == nil
}

func isHex(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') })
}
