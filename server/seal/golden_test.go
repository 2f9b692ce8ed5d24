package seal_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/secret"
)

// What is sealed today has to open after every later release, so this test
// spells the format out again and shares no constant with the package.
func TestTheFormatIsWhatWasSealedYesterday(t *testing.T) {
	t.Parallel()
	const (
		keyID  = "2026-11"
		text   = "what the provider sent"
		where  = "row 7, body"
		phrase = "0123456789abcdef0123456789abcdef"
	)
	nonce := []byte("a nonce of 24 bytes, yes")

	derived, err := hkdf.Key(sha256.New, []byte(phrase), nil, "verigate encryption at rest v1 key 2026-11", 32)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := chacha20poly1305.NewX(derived)
	if err != nil {
		t.Fatal(err)
	}
	covered := "\x01" + "\x00\x00\x00\x00\x00\x00\x00\x07" + keyID + "\x00\x00\x00\x00\x00\x00\x00\x0b" + where
	built := append([]byte{1}, nonce...)
	built = aead.Seal(built, nonce, []byte(text), []byte(covered))

	kept, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(built, kept) {
		t.Errorf("the primitives give\n%x, kept is\n%x", built, kept)
	}
	k := ring(t, seal.Key{ID: keyID, Secret: secret.New(phrase)})
	if made := sealOne(t, k.WithRandom(bytes.NewReader(nonce)), []byte(text), []byte(where)); !bytes.Equal(made, kept) {
		t.Errorf("Seal gives\n%x, kept is\n%x", made, kept)
	}
	mustOpen(t, k, keyID, kept, []byte(where), []byte(text))
}

// golden was also computed outside Go, from RFC 5869 (HKDF), RFC 8439 and the
// XChaCha draft (draft-irtf-cfrg-xchacha-03) alone.
const golden = "0161206e6f6e6365206f662032342062797465732c207965736a72d06b19d5e" +
	"2bd55519ff43b9af933dab65edcc872ea5aa3fd8346cffb91f8f506afdf3b45"
