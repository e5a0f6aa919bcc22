package sqlite

import (
	"testing"
	"time"

	"example.com/umpire/uma"
)

// A token that is used very often removes the record of its own oldest uses only.
func TestUsesOfAnAdminTokenAreBounded(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	smallRealm(t, s)
	use := func(token string) int64 {
		t.Helper()
		u := &uma.AdminUse{Token: token, Realm: "photoz", Time: at}
		if err := s.BeginAdminUse(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		return u.Seq
	}
	for _, id := range []string{"a", "b"} {
		token := &uma.AdminToken{ID: id, Realm: "photoz", Name: id, Hash: uma.Digest(id), Created: at, Expires: at.Add(time.Hour)}
		if err := s.CreateAdminToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	other, oldest, second := use("b"), use("a"), use("a")
	err := s.write(t.Context(), func(tx *conn) error {
		_, err := tx.exec(`UPDATE admin_token SET uses = ? WHERE id = 'a'`, uma.AdminUsesToken)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	last := use("a")
	found, err := s.FindAdminUses(t.Context(), uma.AdminUseFilter{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, u := range found {
		got = append(got, u.Seq)
	}
	if len(got) != 3 || got[0] != last || got[1] != second || got[2] != other {
		t.Errorf("got uses %v, want %v without %d", got, []int64{last, second, other}, oldest)
	}
}
