package edge

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

const (
	// maxLabel bounds every text that leaves a payload, in bytes. The providers'
	// own ids and names are far shorter.
	maxLabel = 200
	// maxFieldName bounds the name of one unknown field, in bytes.
	maxFieldName = 64
	// maxUnknownFields bounds the report of unknown fields.
	maxUnknownFields = 20
	// uuidTextLength is the canonical form's. uuid.Parse would take others too,
	// and 32 hex digits can be anybody's reference.
	uuidTextLength = 36
)

// IsLabel reports whether a text is fit to be stored and shown: not empty, at
// most 200 bytes, printable UTF-8. A NUL, for one, cannot be stored as text at
// all.
func IsLabel(text string) bool {
	if text == "" || len(text) > maxLabel || !utf8.ValidString(text) {
		return false
	}
	return !strings.ContainsFunc(text, isUnprintable)
}

// IsPathLabel reports whether a label can be the last part of a URL's path, once
// it is escaped: a path of dots would name another endpoint.
func IsPathLabel(text string) bool { return IsLabel(text) && text != "." && text != ".." }

// Showable keeps the printable runes of a text, at most so many. What is left of
// an empty or unprintable one is a question mark, so that it never looks like
// nothing.
func Showable(text string, most int) string {
	var kept []rune
	for _, r := range text {
		if len(kept) == most {
			break
		}
		if !isUnprintable(r) {
			kept = append(kept, r)
		}
	}
	if len(kept) == 0 {
		return "?"
	}
	return string(kept)
}

func isUnprintable(r rune) bool { return !unicode.IsPrint(r) }

// FieldName keeps the ASCII letters, digits, dots, hyphens and underscores of a
// key, at most 64: the names go to a log and a table, and the key is somebody
// else's to choose. "" if nothing is left.
func FieldName(key string) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("_.-", r):
			return r
		}
		return -1
	}, key)
	return kept[:min(len(kept), maxFieldName)]
}

// UnknownFields makes the report of unknown fields out of what NamesExcept
// found: sorted, each name once, at most 20.
func UnknownFields(found ...[]string) []string {
	names := slices.Concat(found...)
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), maxUnknownFields)]
}

// UUID returns the canonical lower-case form of a UUID that is written with
// hyphens, in any case; false for every other text.
func UUID(text string) (string, bool) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != uuidTextLength {
		return "", false
	}
	return id.String(), true
}
