package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"
)

// pythonJSON encodes v as Python's json.dumps does by default: a space after
// each colon and comma, and everything beyond ASCII escaped. The seed document
// on callback authentication shows the spaces; a verifier that encodes anew
// instead of keeping the bytes loses them. compact leaves the spaces out.
func pythonJSON(v any, compact bool) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	d := dumper{in: json.NewDecoder(bytes.NewReader(text)), comma: ", ", colon: ": "}
	if compact {
		d.comma, d.colon = ",", ":"
	}
	d.in.UseNumber()
	if err := d.value(); err != nil {
		return nil, fmt.Errorf("encode with spaces: %w", err)
	}
	return d.out.Bytes(), nil
}

// dumper writes JSON anew, token by token, in the order that it came in.
type dumper struct {
	in    *json.Decoder
	out   bytes.Buffer
	comma string
	colon string
}

func (d *dumper) value() error {
	token, err := d.in.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case json.Delim:
		return d.nested(t)
	case string:
		d.text(t)
	case json.Number:
		d.out.WriteString(t.String())
	case bool:
		d.out.WriteString(strconv.FormatBool(t))
	case nil:
		d.out.WriteString("null")
	default:
		return fmt.Errorf("unexpected token %T", token)
	}
	return nil
}

// nested writes the object or list that was just opened.
func (d *dumper) nested(open json.Delim) error {
	d.out.WriteString(open.String())
	for first := true; d.in.More(); first = false {
		if !first {
			d.out.WriteString(d.comma)
		}
		if open == '{' {
			if err := d.value(); err != nil {
				return err
			}
			d.out.WriteString(d.colon)
		}
		if err := d.value(); err != nil {
			return err
		}
	}
	end, err := d.in.Token()
	if err != nil {
		return err
	}
	if end, ok := end.(json.Delim); ok {
		d.out.WriteString(end.String())
	}
	return nil
}

// text writes a string with Python's escapes.
func (d *dumper) text(s string) {
	short := map[rune]string{
		'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`,
	}
	d.out.WriteByte('"')
	for _, r := range s {
		escape, known := short[r]
		switch {
		case known:
			d.out.WriteString(escape)
		case r < ' ' || r > '~':
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&d.out, `\u%04x`, unit)
			}
		default:
			d.out.WriteRune(r)
		}
	}
	d.out.WriteByte('"')
}
