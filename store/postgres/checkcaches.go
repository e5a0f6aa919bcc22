package postgres

import (
	"context"
	"errors"

	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

// CheckCaches compares all rows that may be read from memory with the database, and returns an error
// that names those that differ: somebody has changed a row that requests share, or a change of the
// database was not noticed. Tests call it, while nobody writes.
func (s *Store) CheckCaches(ctx context.Context) error {
	if s.memory == nil {
		return nil
	}
	s.look(ctx) // for changes of other processes
	return s.read(ctx, func(c *conn) error {
		return errors.Join(
			memory.Check(s.memory.Sessions, func(k memory.SessionKey) (*memory.SessionState, error) {
				st, err := readTokenState(c, k.Realm, k.JTI, k.Session)
				if err != nil {
					return nil, err
				}
				return &memory.SessionState{Revoked: st.Revoked, Session: st.Session}, nil
			}),
			memory.Check(s.memory.Users, func(k memory.UserKey) (*uma.User, error) {
				if k.ID == "" {
					return partyOf(c, k.Realm, k.Issuer, k.Subject, "")
				}
				u, err := userByID(c, k.Realm, k.ID)
				if err == nil {
					u.Password, u.Origin = "", ""
				}
				return u, err
			}),
			memory.Check(s.memory.Resources, func(k memory.ResourceKey) (*uma.Resource, error) {
				if k.ID == "" {
					return resourceByName(c, k.Server, k.Owner, k.Name)
				}
				return resourceByID(c, k.Server, k.ID)
			}),
			memory.Check(s.memory.Shares, func(k memory.SharingKey) (*memory.Sharing, error) {
				found, err := readSharing(c, memory.PartyOfText(k.Party), []uma.Key{k.Resource})
				return found[k.Resource], err
			}),
		)
	})
}
