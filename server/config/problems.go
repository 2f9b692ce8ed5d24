package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one mistake in a configuration file.
type Problem struct {
	// File is the name of the file as it was given.
	File string
	// Line counts from 1; 0 when the problem is about the file as a whole.
	Line int
	// Path names the key, such as flows[0].lifetime; empty for the whole file.
	Path string
	// Message says what is wrong and what to do. It holds no secret.
	Message string
}

// String returns the problem on one line, as compilers write theirs.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		b.WriteString(":" + strconv.Itoa(p.Line))
	}
	if p.Path != "" {
		b.WriteString(": " + p.Path)
	}
	return b.String() + ": " + p.Message
}

// Errors is everything that is wrong with a configuration, in the order of its
// lines.
type Errors []Problem

// Error returns one problem per line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// report collects problems. It knows the line of each key, and which values
// could not be read.
type report struct {
	file     string
	problems Errors
	lines    map[string]int
	// broken are the paths of values that could not be read, holders the paths
	// around them.
	broken, holders map[string]bool
}

func newReport(file string) *report {
	return &report{file: file, lines: map[string]int{}, broken: map[string]bool{}, holders: map[string]bool{}}
}

// errors returns the problems by line, a nil error when there are none.
func (r *report) errors() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path))
	})
	return r.problems
}

// add records a problem that spoils no value.
func (r *report) add(path string, line int, message string) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Path: path, Message: message})
}

// spoil records a problem with a value that cannot be used; checks will be
// silent about it.
func (r *report) spoil(path string, line int, message string) {
	r.add(path, line, message)
	r.silence(path)
}

// silence keeps checks from reporting on a path.
func (r *report) silence(path string) {
	r.broken[path] = true
	for at := parent(path); at != ""; at = parent(at) {
		r.holders[at] = true
	}
}

// checkf records what a check found, unless the value, something in it or
// something around it could not be read in the first place.
func (r *report) checkf(path, format string, args ...any) {
	if !r.unread(path) {
		r.add(path, r.lineOf(path), fmt.Sprintf(format, args...))
	}
}

// unread reports whether the value at path, a part of it or what holds it could
// not be read.
func (r *report) unread(path string) bool {
	for at := path; at != ""; at = parent(at) {
		if r.broken[at] {
			return true
		}
	}
	return r.holders[path]
}

// written reports whether a key stands in the file.
func (r *report) written(path string) bool {
	_, known := r.lines[path]
	return known
}

// lineOf returns the line of a key, or of the nearest thing around it when the
// key is not there.
func (r *report) lineOf(path string) int {
	for at := path; ; at = parent(at) {
		if line, ok := r.lines[at]; ok || at == "" {
			return line
		}
	}
}

func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

func join(path, key string) string {
	key = printable(key)
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

func element(path string, index int) string {
	return path + "[" + strconv.Itoa(index) + "]"
}

// How many bytes of a value a message repeats, and how many of a file's path,
// whose end tells most.
const (
	maxQuoted     = 64
	maxQuotedPath = 1024
)

// quote repeats a value that is no secret in a message.
func quote(value string) string { return quoteUpTo(value, maxQuoted) }

// quotePath does the same for the path of a file.
func quotePath(path string) string { return quoteUpTo(path, maxQuotedPath) }

func quoteUpTo(value string, most int) string {
	if len(value) > most {
		value = strings.ToValidUTF8(value[:most], "") + "…"
	}
	return strconv.Quote(value)
}

// printable returns a key as a path shows it: as it is when it is a plain word.
func printable(key string) string {
	odd := func(c rune) bool {
		return !strings.ContainsRune("_-", c) && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}
	if len(key) > maxQuoted || strings.ContainsFunc(key, odd) {
		return quote(key)
	}
	return key
}

// maxTypos is how many letters a word may be off to be taken for another.
const maxTypos = 2

// closest returns the candidate that word was probably meant to be, empty if
// none is near.
func closest(word string, candidates []string) string {
	best, bestDistance := "", min(maxTypos, len(word)/maxTypos)+1
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		if d := distance(word, candidate); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or replace (Levenshtein), not
// counting case, and taking hyphens for underscores.
func distance(a, b string) int {
	a, b = strings.ReplaceAll(strings.ToLower(a), "-", "_"), strings.ReplaceAll(strings.ToLower(b), "-", "_")
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
