package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

const (
	envFile           = "dev.env"
	tokenKeyFile      = "client-token.key"
	encryptionKeyFile = "encryption.key"
	// passableDir lets the database's account through to its own directory when
	// root runs it; the files in between are private.
	passableDir = 0o711
	privateFile = 0o600
)

// devFiles are the small files that `dev` keeps in its data directory: the
// signing key of client tokens, the encryption key of deliveries, and what to
// call the gateway with.
type devFiles struct {
	dir           string
	tokenKey      secret.Value
	encryptionKey secret.Value
}

func openDevFiles(dir string) (*devFiles, error) {
	if dir == "" {
		return nil, usageError("--data-dir: must name a directory")
	}
	if err := os.MkdirAll(dir, passableDir); err != nil {
		return nil, fmt.Errorf("--data-dir: cannot make %s: %w", dir, err)
	}
	tokenKey, err := devKey(filepath.Join(dir, tokenKeyFile))
	if err != nil {
		return nil, err
	}
	encryptionKey, err := devKey(filepath.Join(dir, encryptionKeyFile))
	return &devFiles{dir: dir, tokenKey: tokenKey, encryptionKey: encryptionKey}, err
}

// devKey reads a key of this data directory, or makes it.
func devKey(path string) (secret.Value, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw := make([]byte, access.MinTokenSecret)
		if _, err := rand.Read(raw); err != nil {
			return secret.Value{}, err
		}
		text = []byte(base64.RawURLEncoding.EncodeToString(raw))
		err = writeFile(path, text)
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("--data-dir: %w", err)
	}
	if len(text) < access.MinTokenSecret {
		return secret.Value{}, fmt.Errorf("%s is damaged: it has fewer than %d bytes; remove it, and a new one is made", path, access.MinTokenSecret)
	}
	return secret.New(string(text)), nil
}

// writeFile replaces a file at once, so that a reader never sees half of it.
func writeFile(path string, content []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, content, privateFile); err != nil {
		return err
	}
	return os.Rename(next, path)
}

func (f *devFiles) envPath() string { return filepath.Join(f.dir, envFile) }

// apiKey returns the key of the last run if this database still knows it, or a
// new one.
func (f *devFiles) apiKey(ctx context.Context, s *store.Store) (secret.Value, error) {
	if old := readEnvFile(f.envPath())["VERIGATE_API_KEY"]; old != "" {
		check := access.Authenticator{Keys: s, EndUsers: func() access.EndUsers { return nil }, Now: time.Now}
		p, err := check.Authenticate(ctx, "Bearer "+old)
		if err == nil && p.Scope == devScope() && p.Has(access.OperatorScope) {
			return secret.New(old), nil
		}
		if err != nil && verification.KindOf(err) != verification.KindUnauthenticated {
			return secret.Value{}, err
		}
	}
	admin := access.Admin{Store: s, Random: rand.Reader, Now: time.Now}
	by := verification.Operator{Actor: commandActor()}
	_, text, err := admin.Create(ctx, devScope(), "dev", access.KeyScopes(), 0, by)
	return text, err
}

func (f *devFiles) writeEnv(url string, key secret.Value) error {
	content := fmt.Sprintf("VERIGATE_URL=%s\nVERIGATE_API_KEY=%s\nVERIGATE_CALLBACK_SECRET=%s\n", url, key.Reveal(), devCallbackSecret)
	return writeFile(f.envPath(), []byte(content))
}
