package server_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// encodings are the forms in which a text may hide in another.
func encodings(text string) []string {
	raw := []byte(text)
	forms := []string{text, hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw))}
	// Base64 of a text inside another depends on where it begins: what is the same
	// for each of the three places is looked for, without its uncertain ends.
	const group, uncertain = 3, 4
	for offset := range group {
		padded := append(make([]byte, offset), raw...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			form := encoding.EncodeToString(padded)
			if len(form) > 3*uncertain {
				forms = append(forms, form[uncertain:len(form)-uncertain])
			}
		}
	}
	return forms
}

// containsAny reports whether a text holds one of several.
func containsAny(text string, forms []string) bool {
	for _, form := range forms {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}
