// Package seal encrypts what must not lie readable in the database: raw
// deliveries, which may hold personal data. It owns the keyring and the format
// of a sealed value; the store decides what is sealed and keeps the key id
// beside it. The package imports nothing of this project but secret, and knows
// neither database nor configuration file.
//
//	encryption.keys ── HKDF-SHA256, one derivation per key id ──► Keyring
//	plaintext, context ── Seal, first key ──► sealed, kept with KeyID
//	key id, sealed, context ── Open, any key ──► plaintext, or ErrUnknownKey, ErrDamaged
//
// A sealed value is XChaCha20-Poly1305 (the extended-nonce form of RFC 8439,
// from golang.org/x/crypto):
//
//	version (1 byte) │ nonce (24 random bytes) │ ciphertext │ tag (16 bytes)
//
// A random nonce of that length needs no counting of messages. The associated
// data is the version, the key id and the caller's context, each of the two
// after its length in eight big-endian bytes. A sealed value therefore opens
// only under the key that made it and in the place it was made for; the context
// itself is not stored.
//
// To rotate, put a new key first and keep the old one until nothing is sealed
// under it any more.
package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/verigate/verigate/server/secret"
)

const (
	// MinSecret is the shortest secret of a key, in bytes: as long as the key
	// that is derived from it.
	MinSecret = 32
	// Overhead is how many bytes a sealed value is longer than its plaintext.
	Overhead = 1 + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

	version = 1
	// purpose begins the HKDF info (RFC 5869); the key id ends it. A secret that
	// is used elsewhere too still gives a key of its own here.
	purpose = "verigate encryption at rest v1 key "
)

// ErrUnknownKey says that a value was sealed under a key that is not in the
// keyring; the error that wraps it names the id. Compare with errors.Is.
var ErrUnknownKey = errors.New("the key that sealed this is not among encryption.keys")

// ErrDamaged says that a value does not open under the key that it names: it was
// changed, cut, moved from another place, or the secret of that key id is not
// the one that sealed it. Nothing more can be told apart. Compare with errors.Is.
var ErrDamaged = errors.New("the sealed value does not open: it was changed or moved, or the secret of its key was")

// Key is one configured key.
type Key struct {
	// ID is kept beside what the key sealed, and must not be used again for
	// another secret.
	ID string
	// Secret holds at least MinSecret bytes, and should be random.
	Secret secret.Value
}

// Keyring seals with its first key and opens with any. NewKeyring makes one. It
// is safe for concurrent use.
type Keyring struct {
	sealing string
	aeads   map[string]cipher.AEAD
	random  io.Reader
}

// NewKeyring returns a keyring that seals with the first key. It refuses an
// empty list, an empty or repeated id, and a secret shorter than MinSecret, and
// reports all of them at once.
func NewKeyring(keys []Key) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("encryption.keys: at least one key is needed; give it an id and a secret")
	}
	ring := &Keyring{sealing: keys[0].ID, aeads: make(map[string]cipher.AEAD, len(keys)), random: rand.Reader}
	var problems []error
	for i, key := range keys {
		if err := ring.add(key); err != nil {
			problems = append(problems, fmt.Errorf("encryption.keys[%d]: %w", i, err))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return ring, nil
}

func (k *Keyring) add(key Key) error {
	if key.ID == "" {
		return errors.New("the id is empty; give each key a name of its own")
	}
	if _, taken := k.aeads[key.ID]; taken {
		return fmt.Errorf("the id %q is used twice; give each key a name of its own", key.ID)
	}
	k.aeads[key.ID] = nil // the id is taken even where the secret is refused
	if len(key.Secret.Reveal()) < MinSecret {
		return fmt.Errorf("the secret of %q is shorter than %d bytes; use a longer random one", key.ID, MinSecret)
	}
	derived, err := hkdf.Key(sha256.New, []byte(key.Secret.Reveal()), nil, purpose+key.ID, chacha20poly1305.KeySize)
	if err != nil {
		return fmt.Errorf("deriving the key %q: %w", key.ID, err)
	}
	aead, err := chacha20poly1305.NewX(derived)
	if err != nil {
		return fmt.Errorf("using the key %q: %w", key.ID, err)
	}
	k.aeads[key.ID] = aead
	return nil
}

// KeyID returns the id of the key that Seal uses now. Keep it beside what Seal
// returns: Open asks for it.
func (k *Keyring) KeyID() string { return k.sealing }

// Opens reports whether a key of the ring has the id.
func (k *Keyring) Opens(keyID string) bool {
	_, ok := k.aeads[keyID]
	return ok
}

// Seal encrypts plaintext and binds it to context, the name of the place where
// it will be kept (row id, column): it opens only with the same context. The
// result is Overhead bytes longer than the plaintext and differs each time. It
// fails only when the system has no randomness to give.
func (k *Keyring) Seal(plaintext, context []byte) ([]byte, error) {
	sealed := make([]byte, 1+chacha20poly1305.NonceSizeX, len(plaintext)+Overhead)
	sealed[0] = version
	nonce := sealed[1:]
	if _, err := io.ReadFull(k.random, nonce); err != nil {
		return nil, fmt.Errorf("sealing: reading a nonce: %w", err)
	}
	return k.aeads[k.sealing].Seal(sealed, nonce, plaintext, associated(k.sealing, context)), nil
}

// Open returns the plaintext of what was sealed under keyID and context, never
// nil for a value that opens. It returns ErrUnknownKey, wrapped with the id, or
// ErrDamaged.
func (k *Keyring) Open(keyID string, sealed, context []byte) ([]byte, error) {
	aead, ok := k.aeads[keyID]
	if !ok {
		return nil, fmt.Errorf("%w: %q; put it back, after the first, until nothing needs it", ErrUnknownKey, keyID)
	}
	if len(sealed) < Overhead || sealed[0] != version {
		return nil, ErrDamaged
	}
	nonce, ciphertext := sealed[1:1+chacha20poly1305.NonceSizeX], sealed[1+chacha20poly1305.NonceSizeX:]
	plaintext, err := aead.Open([]byte{}, nonce, ciphertext, associated(keyID, context))
	if err != nil {
		return nil, ErrDamaged
	}
	return plaintext, nil
}

// associated is what the tag covers besides the ciphertext. The lengths keep
// one pair of id and context from reading as another.
func associated(keyID string, context []byte) []byte {
	data := []byte{version}
	data = binary.BigEndian.AppendUint64(data, uint64(len(keyID)))
	data = append(data, keyID...)
	data = binary.BigEndian.AppendUint64(data, uint64(len(context)))
	return append(data, context...)
}
