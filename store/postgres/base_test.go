package postgres

import (
	"errors"
	"testing"
	"time"

	"example.com/umpire/uma"
)

func ticket(value string) *uma.Ticket {
	return &uma.Ticket{Hash: uma.Digest(value), Issued: at, Expires: at.Add(time.Minute)}
}

func TestTicketsSpentOnce(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	if err := s.SaveTicket(t.Context(), 1, ticket("a")); err != nil {
		t.Fatal(err)
	}
	st := &uma.Settlement{Realm: 1, Now: at, Ticket: uma.Digest("a"), Records: []uma.Record{
		{ID: "1", Time: at, Realm: "photoz", Rules: []string{`a "quoted\" rule`, ""}, Event: []byte(`{}`)},
		{ID: "2", Time: at.AddDate(0, 1, 0), Realm: "photoz", Event: []byte(`{}`)},
	}}
	if err := s.Commit(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	if st.Records[0].Seq != 1 || st.Records[1].Seq != 2 {
		t.Errorf("got numbers %d and %d", st.Records[0].Seq, st.Records[1].Seq)
	}
	if err := s.Commit(t.Context(), st); !errors.Is(err, uma.ErrSpent) {
		t.Errorf("got error %v, want %v", err, uma.ErrSpent)
	}
	st = &uma.Settlement{Realm: 1, Now: at, RestsOn: &uma.Rests{Generation: 3}}
	if err := s.Commit(t.Context(), st); !errors.Is(err, uma.ErrMoved) {
		t.Errorf("got error %v, want %v", err, uma.ErrMoved)
	}
}
