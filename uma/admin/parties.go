package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/umpire/uma"
)

// Parties are the parties of trusted issuers in a realm. Each method takes a user by its
// username, without case, or its id.
type Parties struct {
	Store interface {
		uma.Viewer
		uma.Parties
	}
	Realm *uma.Snapshot
}

// A Party is a user with what belongs to it. A local user has none but linked identities.
type Party struct {
	*uma.User
	Identities []uma.Identity // its own first
	Resources  int            // that it owns; uma.MaxDependents or more: the rest was not counted
}

// A PartyRefusal says why something cannot be done with a party, and what to do next.
type PartyRefusal string

func (r PartyRefusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return PartyRefusal(fmt.Sprintf(format, args...)) }

// Page returns at most limit parties by username, those that follow `after`; with the alias of
// an issuer only its own, also of one that is trusted no longer.
func (p *Parties) Page(ctx context.Context, alias, after string, limit int) ([]*uma.User, error) {
	page, err := p.Store.PartiesAfter(ctx, p.Realm.Realm.Key, alias, after, limit)
	if err == nil && len(page) == 0 && after == "" && alias != "" && p.Realm.Realm.IssuerCalled(alias) == nil {
		return nil, refuse("realm %s has no issuer with the alias %q, nor parties of one", p.Realm.Realm.Name, alias)
	}
	return page, err
}

// Find returns a user, or a PartyRefusal. So do the others, if there is none or it is asked for
// what cannot be.
func (p *Parties) Find(ctx context.Context, name string) (*Party, error) {
	realm := p.Realm.Realm.Key
	return uma.Read(ctx, p.Store, func(view uma.View) (*Party, error) {
		u, err := view.UserByName(ctx, realm, name)
		if errors.Is(err, uma.ErrNotFound) {
			u, err = view.User(ctx, realm, name)
		}
		if errors.Is(err, uma.ErrNotFound) {
			return nil, refuse("realm %s has no user %q: `umpire party list --realm %s` lists the parties", p.Realm.Realm.Name, name, p.Realm.Realm.Name)
		}
		if err != nil {
			return nil, err
		}
		identities, err := view.IdentitiesOf(ctx, realm, u.ID)
		if err != nil {
			return nil, err
		}
		owned, err := view.OwnedResources(ctx, realm, u.ID, "", 0, uma.MaxDependents)
		return &Party{u, identities, len(owned)}, err
	})
}

// findParty is Find without local users, which are what their realm file says.
func (p *Parties) findParty(ctx context.Context, name string) (*Party, error) {
	found, err := p.Find(ctx, name)
	if err == nil && found.Identity == nil {
		return nil, refuse("%s is a local user of realm %s, not a party of an issuer: change it in the realm file", found.Username, p.Realm.Realm.Name)
	}
	return found, err
}

// Enable enables or disables a party, and returns it as it is then.
func (p *Parties) Enable(ctx context.Context, name string, enabled bool) (*Party, error) {
	found, err := p.findParty(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := p.Store.EnableParty(ctx, p.Realm.Realm.Key, found.ID, enabled); err != nil {
		return nil, fmt.Errorf("party %s: %w", found.Username, err)
	}
	return p.Find(ctx, found.ID)
}

// Link adds an identity to a user, local or not.
func (p *Parties) Link(ctx context.Context, name, alias, subject string) (*Party, error) {
	found, err := p.Find(ctx, name)
	if err != nil {
		return nil, err
	}
	trusted := p.Realm.Realm.IssuerCalled(alias)
	if trusted == nil {
		return nil, refuse("realm %s trusts no issuer with the alias %q", p.Realm.Realm.Name, alias)
	}
	err = p.Store.LinkIdentity(ctx, p.Realm.Realm.Key, found.ID, trusted.Issuer, subject)
	switch {
	case errors.Is(err, uma.ErrConflict):
		return nil, p.linked(ctx, alias, trusted.Issuer, subject)
	case errors.Is(err, uma.ErrFull):
		return nil, refuse("%s has %d identities: unlink one first", found.Username, uma.MaxIdentities)
	case err != nil:
		return nil, fmt.Errorf("link an identity to %s: %w", found.Username, err)
	}
	return p.Find(ctx, found.ID)
}

// linked says whose an identity is.
func (p *Parties) linked(ctx context.Context, alias, issuer, subject string) error {
	holder, err := uma.Read(ctx, p.Store, func(view uma.View) (*uma.User, error) {
		return view.PartyOf(ctx, p.Realm.Realm.Key, issuer, subject)
	})
	if err != nil {
		return fmt.Errorf("whose identity %s of issuer %s is: %w", subject, alias, err)
	}
	if y := holder.Identity; y != nil && y.Issuer == issuer && y.Subject == subject {
		return refuse("the subject %q of issuer %s is the party %s: delete that first", subject, alias, holder.Username)
	}
	return refuse("the subject %q of issuer %s is linked to %s: unlink it there first", subject, alias, holder.Username)
}

// Unlink takes an identity from a user, also one of an issuer that is trusted no longer.
func (p *Parties) Unlink(ctx context.Context, name, alias, subject string) (*Party, error) {
	found, err := p.Find(ctx, name)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(found.Identities, func(y uma.Identity) bool { return y.Alias == alias && y.Subject == subject })
	if at < 0 {
		return nil, refuse("%s has no identity with the subject %q of issuer %q", found.Username, subject, alias)
	}
	if y := found.Identity; y != nil && *y == found.Identities[at] {
		return nil, refuse("the subject %q of issuer %s is the party %s itself: disable or delete the party", subject, alias, found.Username)
	}
	if err := p.Store.UnlinkIdentity(ctx, p.Realm.Realm.Key, found.ID, found.Identities[at].Issuer, subject); err != nil {
		return nil, fmt.Errorf("unlink an identity of %s: %w", found.Username, err)
	}
	return p.Find(ctx, found.ID)
}

// Delete deletes a party. What it owns goes to another user or, if deleteResources, is deleted.
func (p *Parties) Delete(ctx context.Context, name, transferTo string, deleteResources bool) (*uma.User, *uma.PartyReport, error) {
	found, err := p.findParty(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	d := &uma.PartyRemoval{Realm: p.Realm.Realm.Key, ID: found.ID, DeleteResources: deleteResources}
	if transferTo != "" {
		to, err := p.Find(ctx, transferTo)
		if err != nil {
			return nil, nil, err
		}
		if to.ID == found.ID {
			return nil, nil, refuse("%s cannot be transferred to itself", found.Username)
		}
		d.TransferTo = to.ID
	}
	report, err := p.Store.DeleteParty(ctx, d)
	switch {
	case errors.Is(err, uma.ErrConflict) && transferTo != "":
		return nil, nil, refuse("%s and %s own resources of the same name at the same resource server: rename or delete them first", found.Username, transferTo)
	case errors.Is(err, uma.ErrConflict):
		return nil, nil, refuse("%s owns resources: say what becomes of them by --transfer-to or --delete-resources", found.Username)
	case err != nil:
		return nil, nil, fmt.Errorf("delete party %s: %w", found.Username, err)
	}
	return found.User, report, nil
}
