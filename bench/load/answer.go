package load

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

// errWrongAnswer says that something else than HTTP came back.
var errWrongAnswer = errors.New("the answer is not HTTP/1.1 with a Content-Length")

// readAnswer reads as much of HTTP as the gateway's answers to webhooks need
// (RFC 9112): a status line, header lines, and a body of known length.
func readAnswer(r *bufio.Reader) (code int, retryAfter bool, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	const codeAt, codeEnd = 9, 12 // after "HTTP/1.1 "
	if len(line) < codeEnd || string(line[:codeAt]) != "HTTP/1.1 " {
		return 0, false, errWrongAnswer
	}
	if code, err = strconv.Atoi(string(line[codeAt:codeEnd])); err != nil {
		return 0, false, errWrongAnswer
	}
	length := -1
	for {
		line, err = r.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		if len(line) <= len("\r\n") {
			break
		}
		switch name, value, _ := strings.Cut(string(line), ":"); {
		case strings.EqualFold(name, "Content-Length"):
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return 0, false, errWrongAnswer
			}
		case strings.EqualFold(name, "Retry-After"):
			retryAfter = true
		}
	}
	if length < 0 {
		return 0, false, errWrongAnswer
	}
	_, err = io.CopyN(io.Discard, r, int64(length))
	return code, retryAfter, err
}
