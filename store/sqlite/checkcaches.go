package sqlite

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"example.com/umpire/uma"
)

// CheckCaches compares all rows that may be read from memory with the database, and returns an
// error that names those that differ: somebody has changed a row that requests share, or a
// change of the database was not noticed. Tests call it, while nobody writes.
func (s *Store) CheckCaches(ctx context.Context) error {
	if s.memory == nil {
		return nil
	}
	if err := s.write(ctx, func(*conn) error { return nil }); err != nil { // the writer looks for changes of other processes
		return err
	}
	return s.read(ctx, func(c *conn) error {
		return errors.Join(
			check(s.memory.sessions, func(k sessionKey) (*sessionState, error) {
				st, err := readTokenState(c, k.realm, k.jti, k.session)
				if err != nil {
					return nil, err
				}
				return &sessionState{st.Revoked, st.Session}, nil
			}),
			check(s.memory.users, func(k userKey) (*uma.User, error) {
				if k.id == "" {
					return partyOf(c, k.realm, k.issuer, k.subject)
				}
				u, err := userByID(c, k.realm, k.id)
				if err == nil {
					u.Password, u.Origin = "", ""
				}
				return u, err
			}),
			check(s.memory.resources, func(k resourceKey) (*uma.Resource, error) {
				if k.id == "" {
					return resourceByName(c, k.server, k.owner, k.name)
				}
				return resourceByID(c, k.server, k.id)
			}),
			check(s.memory.shares, func(k sharingKey) (*sharing, error) {
				found, err := readSharing(c, partyOfText(k.party), []uma.Key{k.resource})
				return found[k.resource], err
			}),
		)
	})
}

// check compares the rows of one kind with those that read returns.
func check[K comparable, V any](r *rows[K, V], read func(K) (V, error)) error {
	if r == nil {
		return nil
	}
	var errs []error
	for key, row := range r.kept.All() {
		if r.changed.Load() > row.epoch {
			continue // it is no longer read
		}
		now, err := read(key)
		if err == nil && !reflect.DeepEqual(row.value, now) {
			err = errors.New("differs from the database")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("kept in memory: %+v: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

// partyOfText returns a party with that partyText.
func partyOfText(text string) *uma.Party {
	p := &uma.Party{}
	for text != "" {
		at := strings.IndexAny(text, "ugrc")
		length, _ := strconv.Atoi(text[:at]) // partyText wrote it
		name := text[at : at+length]
		switch text = text[at+length:]; name[:2] {
		case userPrefix:
			p.ID = name[2:]
		case groupPrefix:
			p.Groups = append(p.Groups, name[2:])
		case rolePrefix:
			p.Roles = append(p.Roles, name[2:])
		case clientPrefix:
			p.Client = name[2:]
		}
	}
	return p
}
