package memory

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A SharingKey is that of what there is between a party and a resource.
type SharingKey struct {
	Resource uma.Key
	Party    string // see PartyText
}

// Bytes is how many bytes the texts of the key take.
func (k *SharingKey) Bytes() int { return len(k.Party) }

// A Sharing is what there is between a party and one resource, whenever it was decided.
type Sharing struct {
	Granted  []uma.Share   // by requests
	Others   []uma.Request // pending and denied
	Policies []uma.Share
}

// AddRequest adds a request between the party and the owner.
func (s *Sharing) AddRequest(q *uma.Request) {
	if q.State == uma.Granted {
		s.Granted = append(s.Granted, rows.ShareOf(q))
	} else {
		s.Others = append(s.Others, *q)
	}
}

// Trim gives back what the lists were allocated beyond their lengths.
func (s *Sharing) Trim() {
	s.Granted, s.Others, s.Policies = trimmed(s.Granted), trimmed(s.Others), trimmed(s.Policies)
}

func trimmed[T any](list []T) []T {
	if cap(list) == len(list) {
		return list
	}
	return append(make([]T, 0, len(list)), list...)
}

// Bytes is about how many bytes the sharing takes.
func (s *Sharing) Bytes() int {
	n := 100
	for _, list := range [][]uma.Share{s.Granted, s.Policies} {
		for i := range list {
			n += 400 + len(list[i].Description) + len(list[i].ResourceID) + len(list[i].Owner) + rows.ShareSize(&list[i])
		}
	}
	for i := range s.Others {
		q := &s.Others[i]
		n += 300 + len(q.ID) + len(q.ResourceID) + len(q.Owner) + len(q.Requester) + len(q.Scope) + len(q.ScopeID) + len(q.ResourceName)
	}
	return n
}

// Between returns what uma.Shares.Between does of the sharing of each resource: granted requests,
// then policies in the order of their keys; and requests that are pending, or were denied after
// since.
func Between(found []*Sharing, since time.Time) ([]uma.Share, []uma.Request) {
	var shares, policies []uma.Share
	var requests []uma.Request
	for _, one := range found {
		shares, policies = append(shares, one.Granted...), append(policies, one.Policies...)
		for _, q := range one.Others {
			if q.State == uma.Pending || q.Decided.After(since) {
				requests = append(requests, q)
			}
		}
	}
	slices.SortFunc(policies, func(a, b uma.Share) int { return cmp.Compare(a.Key, b.Key) })
	return append(shares, policies...), requests
}

// PartyText is one text for all that sharing depends on of a party, in whatever order its roles
// and groups are.
func PartyText(p *uma.Party) string {
	parties := append(rows.PartiesOf(p), rows.UserPrefix+p.ID) // also of a party without an id
	slices.Sort(parties)
	size := 0
	for _, name := range parties {
		size += len(name) + 2
	}
	var text strings.Builder
	text.Grow(size)
	for _, name := range parties {
		text.WriteString(strconv.Itoa(len(name)))
		text.WriteString(name)
	}
	return text.String()
}

// PartyOfText returns a party with that PartyText.
func PartyOfText(text string) *uma.Party {
	p := &uma.Party{}
	for text != "" {
		at := strings.IndexAny(text, "ugrc")
		length, _ := strconv.Atoi(text[:at]) // PartyText wrote it
		name := text[at : at+length]
		switch text = text[at+length:]; name[:2] {
		case rows.UserPrefix:
			p.ID = name[2:]
		case rows.GroupPrefix:
			p.Groups = append(p.Groups, name[2:])
		case rows.RolePrefix:
			p.Roles = append(p.Roles, name[2:])
		case rows.ClientPrefix:
			p.Client = name[2:]
		}
	}
	return p
}
