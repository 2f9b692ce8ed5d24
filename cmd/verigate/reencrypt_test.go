package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/verigate/verigate/server/config"
	"github.com/verigate/verigate/server/seal"
	"github.com/verigate/verigate/server/secret"
	"github.com/verigate/verigate/server/store"
	"github.com/verigate/verigate/server/verification"
)

const (
	oldKeyEntry = `    - {id: e1, secret: "${VERIGATE_ENCRYPTION_KEY}"}` + "\n"
	newKeyEntry = `    - {id: e2, secret: "${VERIGATE_SECOND_KEY}"}` + "\n"
)

// withKeys is the site's configuration with other encryption keys.
func withKeys(entries string) string { return strings.Replace(siteConfig, oldKeyEntry, entries, 1) }

// The rotation as the help tells it: the new key first, a reload, reencrypt,
// and the old key goes.
func TestDeliveriesAreSealedAnewAndTheOldKeyGoes(t *testing.T) {
	t.Parallel()
	r := newSite(t).serve(t)
	for _, ref := range []string{"ver_1", "ver_2", "ver_3"} {
		r.begin(t, "subject of "+ref, "order of "+ref)
		r.webhook(t, ref)
	}
	r.configure(t, withKeys(newKeyEntry+oldKeyEntry))
	hangUp(t, r.process)
	r.until(t, r.stderr, "the configuration was reloaded")
	r.begin(t, "subject of ver_4", "order of ver_4")
	r.webhook(t, "ver_4")

	r.cli(t, "deliveries", "reencrypt").want(t, exitPass, "3 deliveries were sealed anew; all are under the key e2", "")
	r.cli(t, "deliveries", "reencrypt").want(t, exitPass, "0 deliveries were sealed anew; all are under the key e2", "")
	r.cli(t, "deliveries", "reencrypt", "--json").want(t, exitPass, `{"key":"e2","reencrypted":0}`, "")

	r.configure(t, withKeys(newKeyEntry))
	r.cli(t, "deliveries", "reencrypt").want(t, exitPass, "0 deliveries", "")
	r.stop(t)
	r.start(t)
	for id, body := range r.bodies(t, seal.Key{ID: "e2", Secret: secret.New(siteSecondKey)}) {
		if !strings.Contains(body, `"verification_id":"ver_`) {
			t.Errorf("delivery %s reads %s", id, body)
		}
	}
	listed := r.ask(t, "audit", "--action", "deliveries.reencrypt").want(t, exitPass, commandActor(), "").out
	for _, details := range []string{"deliveries=3", "deliveries=0"} {
		if !strings.Contains(listed, details) {
			t.Errorf("the audit log lacks %q:\n%s", details, listed)
		}
	}
}

// bodies opens every delivery of the site through the store, with one key.
func (s *site) bodies(t *testing.T, key seal.Key) map[uuid.UUID]string {
	t.Helper()
	keyring, err := seal.NewKeyring([]seal.Key{key})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := store.Open(t.Context(), secret.New(s.dsn), func() *seal.Keyring { return keyring })
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	rows, err := s.connect(t).Query(t.Context(), "SELECT id::text FROM delivery")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 4 {
		t.Errorf("there are %d deliveries, want 4", len(ids))
	}
	bodies := map[uuid.UUID]string{}
	for _, text := range ids {
		id := uuid.MustParse(text)
		d, err := opened.Delivery(t.Context(), verification.Scope{Project: "acme", Environment: verification.Live}, id)
		if err != nil {
			t.Fatalf("delivery %s: %v", id, withCause(err))
		}
		bodies[id] = string(d.Body)
	}
	return bodies
}

func TestReencryptNamesTheKeyThatIsMissing(t *testing.T) {
	t.Parallel()
	r := newSite(t).serve(t)
	r.begin(t, "u1", "order-1")
	r.webhook(t, "ver_1")
	r.stop(t)

	r.configure(t, withKeys(newKeyEntry))
	missing := r.cli(t, "deliveries", "reencrypt").want(t, exitFail, "", "1 are sealed under the key e1, which encryption.keys lacks; put it back below the first key and run this again")
	if strings.Contains(missing.err, secretMark) {
		t.Errorf("a secret was printed: %s", missing.err)
	}
	r.direct(t, "audit").want(t, exitPass, "deliveries=0 left=1", "")

	// The same id with another secret is no way out.
	r.configure(t, withKeys(newKeyEntry+strings.Replace(oldKeyEntry, "VERIGATE_ENCRYPTION_KEY", "VERIGATE_WRONG_KEY", 1)))
	r.env = append(r.env, "VERIGATE_WRONG_KEY="+secretMark+"-wrong-0123456789abcdef0123456789")
	r.cli(t, "deliveries", "reencrypt").want(t, exitFail, "", "the secret of that key is not the one that sealed them")

	r.configure(t, withKeys(newKeyEntry+oldKeyEntry))
	r.cli(t, "deliveries", "reencrypt").want(t, exitPass, "1 deliveries were sealed anew", "")
}

func TestCtrlCEndsReencryptAndASecondRunFinishesIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env = append(s.env, "VERIGATE_DATABASE_URL="+s.dsn+"&lock_timeout=0&statement_timeout=0")
	r := s.serve(t)
	for _, ref := range []string{"ver_1", "ver_2", "ver_3"} {
		r.begin(t, "subject of "+ref, "order of "+ref)
		r.webhook(t, ref)
	}
	r.configure(t, withKeys(newKeyEntry+oldKeyEntry))
	release := r.hold(t, "delivery", 3)
	sealing := launch(t, r.dir, r.env, "deliveries", "reencrypt")
	r.untilSomebodyWaits(t, "DeliveryResealIfUnder")
	if err := sealing.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := sealing.wait(t); code != exitInterrupted || !strings.Contains(sealing.stderr.String(), "run it again for the rest") {
		t.Errorf("ctrl-C ended with %d: %s", code, sealing.stderr)
	}
	release()
	r.cli(t, "deliveries", "reencrypt").want(t, exitPass, "1 deliveries were sealed anew; all are under the key e2", "")
}

func TestReencryptTellsOfANodeThatHasNotReloaded(t *testing.T) {
	t.Parallel()
	done := &reencryption{key: "e2", changed: 7, left: map[string]int64{"": 1, "e1": 2}}
	loaded := &config.Config{EncryptionKeys: []config.Key{{ID: "e2"}, {ID: "e1"}}}
	err := done.problem(loaded)
	if exitCode(err) != exitFail {
		t.Fatalf("exit %d: %v", exitCode(err), err)
	}
	for _, want := range []string{"7 deliveries were sealed anew", "1 are not sealed", "2 are sealed under the key e1: a node still seals with it; reload every node"} {
		if !strings.Contains(explain(err), want) {
			t.Errorf("%q lacks %q", explain(err), want)
		}
	}
	if err := (&reencryption{key: "e2"}).problem(loaded); err != nil {
		t.Errorf("all is well, but: %v", err)
	}
}
