package seal_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/verigate/verigate/server/seal"
)

// FuzzOpen proves that nothing opens but what was sealed, in its place and
// under its key, and that no bytes make Open panic.
func FuzzOpen(f *testing.F) {
	// Every process of a fuzz run has to seal the same bytes.
	k := ring(f, newKey, oldKey).WithRandom(strings.NewReader("one nonce of 24 bytes...and a second one, as long"))
	sealed := sealOne(f, k, plaintext, place)
	empty := sealOne(f, k, nil, nil)
	f.Add("new", sealed, place)
	f.Add("new", empty, []byte{})
	f.Add("old", sealed, place)
	f.Add("gone", sealed, []byte("elsewhere"))
	f.Add("new", sealed[:len(sealed)-1], place)
	f.Add("new", bytes.Repeat([]byte{1}, seal.Overhead), place)
	f.Fuzz(func(t *testing.T, keyID string, bytesGiven, context []byte) {
		opened, err := k.Open(keyID, bytesGiven, context)
		var want []byte
		switch {
		case keyID != "new":
		case bytes.Equal(bytesGiven, sealed) && bytes.Equal(context, place):
			want = plaintext
		case bytes.Equal(bytesGiven, empty) && len(context) == 0:
			want = []byte{}
		}
		if (want == nil) != (err != nil) || !bytes.Equal(opened, want) {
			t.Fatalf("opened %q, %v; want %q", opened, err, want)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k := ring(b, newKey)
	body := bytes.Repeat([]byte("x"), 4<<10)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Seal(body, place); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	k := ring(b, newKey)
	body := bytes.Repeat([]byte("x"), 4<<10)
	sealed := sealOne(b, k, body, place)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Open("new", sealed, place); err != nil {
			b.Fatal(err)
		}
	}
}
