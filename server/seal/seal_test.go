package seal_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/secret"
)

const (
	oldSecret = "marked-old-secret-of-forty-bytes-0000000"
	newSecret = "marked-new-secret-of-forty-bytes-1111111"
)

var (
	oldKey    = seal.Key{ID: "old", Secret: secret.New(oldSecret)}
	newKey    = seal.Key{ID: "new", Secret: secret.New(newSecret)}
	plaintext = []byte(`{"name":"Ada Example","status":"PASS"}`)
	place     = []byte("0198c0de/deliveries.body")
)

func ring(t testing.TB, keys ...seal.Key) *seal.Keyring {
	t.Helper()
	made, err := seal.NewKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func sealOne(t testing.TB, k *seal.Keyring, text, context []byte) []byte {
	t.Helper()
	sealed, err := k.Seal(text, context)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func mustOpen(t testing.TB, k *seal.Keyring, keyID string, sealed, context, want []byte) {
	t.Helper()
	opened, err := k.Open(keyID, sealed, context)
	if err != nil || opened == nil || !bytes.Equal(opened, want) {
		t.Fatalf("opened %q, %v; want %q", opened, err, want)
	}
}

func mustRefuse(t testing.TB, k *seal.Keyring, keyID string, sealed, context []byte, want error) {
	t.Helper()
	opened, err := k.Open(keyID, sealed, context)
	if opened != nil || !errors.Is(err, want) {
		t.Fatalf("opened %q, %v; want %v", opened, err, want)
	}
}

func TestWhateverIsSealedOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	k := ring(t, newKey, oldKey)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "plaintext")
		context := rapid.SliceOf(rapid.Byte()).Draw(t, "context")
		other := rapid.SliceOf(rapid.Byte()).Draw(t, "other context")
		sealed, err := k.Seal(text, context)
		if err != nil || len(sealed) != len(text)+seal.Overhead {
			t.Fatalf("sealed %d bytes as %d, %v", len(text), len(sealed), err)
		}
		if opened, err := k.Open(k.KeyID(), sealed, context); err != nil || opened == nil || !bytes.Equal(opened, text) {
			t.Fatalf("opened %x, %v", opened, err)
		}
		opened, err := k.Open(k.KeyID(), sealed, other)
		if same := bytes.Equal(context, other); same != (err == nil) || (!same && (opened != nil || !errors.Is(err, seal.ErrDamaged))) {
			t.Fatalf("with the other context it opened %x, %v", opened, err)
		}
	})
}

func TestOneFlippedBitIsRefused(t *testing.T) {
	t.Parallel()
	k := ring(t, newKey)
	sealed := sealOne(t, k, plaintext, place)
	for bit := range len(sealed) * 8 {
		changed := slices.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		mustRefuse(t, k, "new", changed, place, seal.ErrDamaged)
	}
	mustOpen(t, k, "new", sealed, place, plaintext)
}

func TestACutOrLongerValueIsRefused(t *testing.T) {
	t.Parallel()
	k := ring(t, newKey)
	for _, text := range [][]byte{plaintext, nil} {
		sealed := sealOne(t, k, text, place)
		for n := range sealed {
			mustRefuse(t, k, "new", sealed[:n], place, seal.ErrDamaged)
			mustRefuse(t, k, "new", sealed[n+1:], place, seal.ErrDamaged)
		}
		mustRefuse(t, k, "new", append(slices.Clone(sealed), 0), place, seal.ErrDamaged)
		mustRefuse(t, k, "new", nil, place, seal.ErrDamaged)
		mustOpen(t, k, "new", sealed, place, text)
	}
}

func TestAnythingButItsOwnKeyAndPlaceIsRefused(t *testing.T) {
	t.Parallel()
	k := ring(t, newKey, oldKey)
	sealed := sealOne(t, k, plaintext, place)
	for name, c := range map[string]struct {
		with    *seal.Keyring
		keyID   string
		context []byte
		want    error
	}{
		"another context":                    {k, "new", []byte("0198c0de/deliveries.headers"), seal.ErrDamaged},
		"a context that goes on":             {k, "new", append(slices.Clone(place), 0), seal.ErrDamaged},
		"a shorter context":                  {k, "new", place[:len(place)-1], seal.ErrDamaged},
		"no context":                         {k, "new", nil, seal.ErrDamaged},
		"another key of the ring":            {k, "old", place, seal.ErrDamaged},
		"the same secret under another id":   {ring(t, seal.Key{ID: "moved", Secret: newKey.Secret}), "moved", place, seal.ErrDamaged},
		"another secret under the same id":   {ring(t, seal.Key{ID: "new", Secret: oldKey.Secret}), "new", place, seal.ErrDamaged},
		"a key that is not there":            {k, "gone", place, seal.ErrUnknownKey},
		"no key id":                          {k, "", place, seal.ErrUnknownKey},
		"a key id in other letters":          {k, "NEW", place, seal.ErrUnknownKey},
		"the end of the id in the context":   {ring(t, seal.Key{ID: "ne", Secret: newKey.Secret}), "ne", append([]byte("w"), place...), seal.ErrDamaged},
		"the start of the context in the id": {ring(t, seal.Key{ID: "new0", Secret: newKey.Secret}), "new0", place[1:], seal.ErrDamaged},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, c.with, c.keyID, sealed, c.context, c.want)
		})
	}
}

func TestARotatedKeyOpensUntilItIsRemoved(t *testing.T) {
	t.Parallel()
	before := ring(t, oldKey)
	sealed := sealOne(t, before, plaintext, place)

	during := ring(t, newKey, oldKey)
	if during.KeyID() != "new" || before.KeyID() != "old" {
		t.Fatalf("sealing with %q, then %q", before.KeyID(), during.KeyID())
	}
	mustOpen(t, during, "old", sealed, place, plaintext)
	again := sealOne(t, during, plaintext, place)
	mustOpen(t, during, "new", again, place, plaintext)
	mustRefuse(t, before, "new", again, place, seal.ErrUnknownKey)

	after := ring(t, newKey)
	mustOpen(t, after, "new", again, place, plaintext)
	_, err := after.Open("old", sealed, place)
	if !errors.Is(err, seal.ErrUnknownKey) || !strings.Contains(err.Error(), `"old"`) || !strings.Contains(err.Error(), "encryption.keys") {
		t.Fatalf("got %v, want ErrUnknownKey with the id and where to put the key", err)
	}
}

func TestASealedValueShowsNothingAndNeverRepeats(t *testing.T) {
	t.Parallel()
	k := ring(t, newKey)
	const rounds = 500
	nonces := make(map[string]bool, rounds)
	for range rounds {
		sealed := sealOne(t, k, plaintext, place)
		nonces[string(sealed[1:1+24])] = true
		for _, hidden := range [][]byte{plaintext[:8], []byte("Ada Example"), place, []byte("new"), []byte(newSecret)} {
			if bytes.Contains(sealed, hidden) {
				t.Fatalf("the sealed value contains %q", hidden)
			}
		}
	}
	if len(nonces) != rounds {
		t.Errorf("%d nonces for %d values", len(nonces), rounds)
	}
}

func TestSealAndOpenLeaveTheirInputAlone(t *testing.T) {
	t.Parallel()
	k := ring(t, newKey)
	text, context := slices.Clone(plaintext), slices.Clone(place)
	sealed := sealOne(t, k, text, context)
	kept := slices.Clone(sealed)
	mustOpen(t, k, "new", sealed, context, plaintext)
	if !bytes.Equal(text, plaintext) || !bytes.Equal(context, place) || !bytes.Equal(sealed, kept) {
		t.Error("an argument was written to")
	}
}

func TestManyMaySealAndOpenAtOnce(t *testing.T) {
	t.Parallel()
	k := ring(t, newKey, oldKey)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			text := bytes.Repeat([]byte{byte(i)}, 1000)
			for range 50 {
				sealed, err := k.Seal(text, place)
				if err != nil {
					t.Error(err)
					return
				}
				if opened, err := k.Open(k.KeyID(), sealed, place); err != nil || !bytes.Equal(opened, text) {
					t.Errorf("opened %d bytes, %v", len(opened), err)
				}
			}
		})
	}
	group.Wait()
}

func TestNoRandomnessIsAnErrorAndNotAWeakNonce(t *testing.T) {
	t.Parallel()
	cause := errors.New("no entropy")
	for name, source := range map[string]*seal.Keyring{
		"a source that fails":      ring(t, newKey).WithRandom(iotest.ErrReader(cause)),
		"a source that ends early": ring(t, newKey).WithRandom(strings.NewReader("too short")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sealed, err := source.Seal(plaintext, place)
			if err == nil || sealed != nil {
				t.Fatalf("sealed %x, %v", sealed, err)
			}
			if strings.Contains(err.Error(), "Ada") {
				t.Error("the error repeats the plaintext")
			}
		})
	}
}

func TestABadKeyIsRefusedByNameAndNeverShown(t *testing.T) {
	t.Parallel()
	short := seal.Key{ID: "short", Secret: secret.New("marked-" + strings.Repeat("s", seal.MinSecret-8))}
	nameless := seal.Key{Secret: secret.New(oldSecret)}
	for name, c := range map[string]struct {
		keys []seal.Key
		want []string
	}{
		"no keys":              {nil, []string{"encryption.keys: at least one"}},
		"a short secret":       {[]seal.Key{newKey, short}, []string{`encryption.keys[1]`, `"short"`, "32 bytes"}},
		"no secret":            {[]seal.Key{{ID: "none"}}, []string{`encryption.keys[0]`, `"none"`, "32 bytes"}},
		"an empty id":          {[]seal.Key{newKey, nameless}, []string{`encryption.keys[1]`, "id is empty"}},
		"an id used twice":     {[]seal.Key{newKey, oldKey, newKey}, []string{`encryption.keys[2]`, `"new" is used twice`}},
		"a bad id and another": {[]seal.Key{short, short, nameless}, []string{`keys[0]: the secret`, `keys[1]: the id "short" is used twice`, `keys[2]: the id is empty`}},
	} {
		t.Run(name+" refuses the keyring", func(t *testing.T) {
			t.Parallel()
			made, err := seal.NewKeyring(c.keys)
			if made != nil || err == nil {
				t.Fatalf("got a keyring and %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "marked") {
				t.Errorf("%q shows a secret", err)
			}
		})
	}
	least := seal.Key{ID: "least", Secret: secret.New(strings.Repeat("s", seal.MinSecret))}
	if got := ring(t, least).KeyID(); got != "least" {
		t.Errorf("the shortest allowed secret gives key %q", got)
	}
}
