package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/gen/sqlc"
	"github.com/verigate/verigate/server/verification"
)

// erasedPrefix begins a ref that was erased. Adapters begin theirs with the kind
// of the provider's id, and none calls one so.
const erasedPrefix = "erased:"

// erasedForm is what is kept of an erased ref: enough to recognise it when it
// comes again, not to ask the provider about it. The length keeps one pair of
// connection and ref from reading as another.
func erasedForm(connection, ref string) string {
	text := binary.BigEndian.AppendUint64(nil, uint64(len(connection)))
	text = append(text, connection...)
	text = append(text, ref...)
	sum := sha256.Sum256(text)
	return erasedPrefix + hex.EncodeToString(sum[:])
}

// bothForms returns refs followed by their erased forms.
func bothForms(connection string, refs []string) []string {
	forms := make([]string, 0, len(refs)+len(refs))
	forms = append(forms, refs...)
	for _, ref := range refs {
		forms = append(forms, erasedForm(connection, ref))
	}
	return forms
}

// FindRefs answers in the words that it was asked in, whatever form is stored.
func (t *tx) FindRefs(ctx context.Context, connection string, refs []string) ([]verification.BoundRef, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	asked := make(map[string]string, len(refs))
	for _, ref := range refs {
		asked[erasedForm(connection, ref)] = ref
	}
	rows, err := t.queries.ProviderRefFind(ctx, t.db, sqlc.ProviderRefFindParams{
		Connection: connection, Refs: bothForms(connection, refs),
	})
	bound := make([]verification.BoundRef, 0, len(rows))
	for _, r := range rows {
		ref := r.Ref
		if plain, erased := asked[ref]; erased {
			ref = plain
		}
		bound = append(bound, verification.BoundRef{
			Connection: r.Connection, Ref: ref, VerificationID: r.VerificationID,
			Match: verification.Match(r.Match), CreateTime: r.CreateTime,
		})
	}
	return bound, err
}

// BindRef may be too late by a moment to see that another verification was
// erased with the same ref; both are found then, and what disagrees is parked.
func (t *tx) BindRef(ctx context.Context, r verification.BoundRef) error {
	inserted, err := t.queries.ProviderRefInsert(ctx, t.db, sqlc.ProviderRefInsertParams{
		Connection: r.Connection, Ref: r.Ref, ErasedRef: erasedForm(r.Connection, r.Ref),
		VerificationID: r.VerificationID, Match: string(r.Match), CreateTime: r.CreateTime,
	})
	if err != nil || inserted == 1 {
		return err
	}
	have, err := t.FindRefs(ctx, r.Connection, []string{r.Ref})
	if err != nil {
		return err
	}
	for _, b := range have {
		if b.VerificationID != r.VerificationID {
			return verification.ErrRefTaken
		}
	}
	return nil
}

func (t *tx) HasOtherKey(ctx context.Context, v *verification.Verification, keys []string) (bool, error) {
	kinds := make([]string, 0, len(keys))
	for _, key := range keys {
		kind, _, _ := strings.Cut(key, ":")
		kinds = append(kinds, kind)
	}
	return t.queries.ProviderRefHasOther(ctx, t.db, sqlc.ProviderRefHasOtherParams{
		VerificationID: v.ID, Connection: v.Connection, Keys: keys, Kinds: kinds,
	})
}

func (t *tx) AddHint(ctx context.Context, connection, ref string, id uuid.UUID, now time.Time) error {
	return t.queries.ReturnHintInsert(ctx, t.db, sqlc.ReturnHintInsertParams{
		Connection: connection, Ref: ref, ErasedRef: erasedForm(connection, ref), VerificationID: id, CreateTime: now,
	})
}

func (t *tx) Hinted(ctx context.Context, connection string, refs []string) ([]uuid.UUID, error) {
	return t.queries.ReturnHintFind(ctx, t.db, sqlc.ReturnHintFindParams{
		Connection: connection, Refs: bothForms(connection, refs),
	})
}

// eraseRefs replaces the refs of a verification, and all claims on them or on
// what its person claimed, by their erased forms. It returns the refs as they
// were.
func (t *tx) eraseRefs(ctx context.Context, v *verification.Verification) ([]string, error) {
	bound, err := t.queries.ProviderRefListOfVerification(ctx, t.db, v.ID)
	if err != nil {
		return nil, err
	}
	refs := make([]string, 0, len(bound))
	for _, r := range bound {
		refs = append(refs, r.Ref)
	}
	refs, forms := toErase(v.Connection, refs)
	err = t.queries.ProviderRefErase(ctx, t.db, sqlc.ProviderRefEraseParams{
		VerificationID: v.ID, Connection: v.Connection, Refs: refs, ErasedRefs: forms,
	})
	if err != nil {
		return nil, err
	}
	hints, err := t.queries.ReturnHintListOfVerification(ctx, t.db, v.ID)
	if err != nil {
		return nil, err
	}
	claimed := slices.Clone(refs)
	for _, h := range hints {
		claimed = append(claimed, h.Ref)
	}
	slices.Sort(claimed)
	claimed, forms = toErase(v.Connection, slices.Compact(claimed))
	return refs, t.queries.ReturnHintErase(ctx, t.db, sqlc.ReturnHintEraseParams{
		Connection: v.Connection, Refs: claimed, ErasedRefs: forms,
	})
}

// toErase returns the refs that are not erased yet, and the form of each.
func toErase(connection string, refs []string) (plain, forms []string) {
	plain, forms = []string{}, []string{}
	for _, ref := range refs {
		if !strings.HasPrefix(ref, erasedPrefix) {
			plain, forms = append(plain, ref), append(forms, erasedForm(connection, ref))
		}
	}
	return plain, forms
}
