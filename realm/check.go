package realm

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"example.com/umpire/phc"
	"example.com/umpire/uma"
)

// references are the names that objects define and refer to, with their places. An object
// may refer to a later one, so they are checked at the end.
type references struct {
	clients, users, resourceIDs, resources []reference // must be unique
	servers, owners, roleClients, mapped   []reference // must exist
}

type reference struct {
	name string
	at   value
}

// clientRoles reads roles by client.
func (refs *references) clientRoles(v value) map[string][]string {
	roles := make(map[string][]string)
	v.entries(func(client string, v value) {
		refs.roleClients = append(refs.roleClients, reference{client, v})
		roles[client] = each(role)(v)
	})
	return roles
}

func (refs *references) check(spec *uma.RealmSpec) {
	clients := unique(refs.clients, "another client has this id")
	users := unique(refs.users, "another user has this name")
	unique(refs.resourceIDs, "another resource has this id")
	unique(refs.resources, "another resource of this owner has this name")

	servers := make(map[string]bool)
	for _, c := range spec.Clients {
		if c.ResourceServer {
			servers[c.ID] = true
		}
	}
	for _, s := range refs.servers {
		switch {
		case !clients[s.name]:
			s.at.wrong("there is no client %q", s.name)
		case !servers[s.name]:
			s.at.wrong("client %q is not a resource server", s.name)
		}
	}
	for _, o := range refs.owners {
		if !users[o.name] {
			o.at.wrong("there is no user %q; without owner the resource belongs to the resource server", o.name)
		}
	}
	refs.checkEmails(spec)
	refs.checkAliases(spec)
	for _, c := range slices.Concat(refs.roleClients, refs.mapped) {
		if !clients[c.name] {
			c.at.wrong("there is no client %q", c.name)
		}
	}
}

// checkAliases refuses local users whose names look like those of parties of an issuer.
func (refs *references) checkAliases(spec *uma.RealmSpec) {
	for _, u := range refs.users {
		for _, i := range spec.Realm.Issuers {
			if i.Alias != "" && strings.HasPrefix(u.name, i.Alias+"/") {
				u.at.wrong("begins with %s/, which begins the names of the parties of issuer %s", i.Alias, i.Alias)
			}
		}
	}
}

// checkEmails notes the e-mail addresses that owners cannot share with: those of several
// users, and those that are the name of another user.
func (refs *references) checkEmails(spec *uma.RealmSpec) {
	named, owners := map[string]int{}, map[string]int{}
	for i, u := range spec.Users {
		named[strings.ToLower(u.Username)] = i
	}
	for i, u := range spec.Users {
		email, _ := u.Claims["email"].(string)
		if email == "" {
			continue
		}
		email = strings.ToLower(email)
		at := refs.users[i].at
		if other, taken := named[email]; taken && other != i {
			at.note("has the e-mail address %s, which is the name of another user: owners can share with neither of them by this address", email)
		}
		if first, taken := owners[email]; taken {
			at.note("has the e-mail address of user %s: owners can share with neither of them by this address", spec.Users[first].Username)
			continue
		}
		owners[email] = i
	}
}

// unique returns the set of names, and records fault at each name that is in it already.
func unique(refs []reference, fault string) map[string]bool {
	seen := make(map[string]bool)
	for _, ref := range refs {
		if ref.name != "" && seen[ref.name] {
			ref.at.wrong("%s", fault)
		}
		seen[ref.name] = true
	}
	return seen
}

// webURL reads an absolute URL with https, or http on this machine.
func webURL(v value) string {
	return matching(func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && secure(u) && u.User == nil && !strings.Contains(s, "#")
	}, "want an absolute https URL without fragment (http on a loopback address)")(v)
}

// secure reports whether tokens may be sent to a URL.
func secure(u *url.URL) bool {
	return u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http" && IsLoopback(u.Hostname()))
}

// IsLoopback reports whether a host is this machine. A name other than localhost is not
// resolved: the resolver's answer may change.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// iconURL reads an absolute URL with http or https.
func iconURL(v value) string {
	return matching(func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
	}, "want an absolute http or https URL")(v)
}

// origin reads a web origin. It is compared byte by byte with the Origin header, so it must
// have the form that browsers send (RFC 6454 §6.2).
func origin(v value) string {
	return matching(func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" &&
			s == u.Scheme+"://"+strings.ToLower(u.Host) && !strings.ContainsAny(u.Host, "*@") &&
			!strings.HasSuffix(u.Host, ":") &&
			!(u.Scheme == "https" && u.Port() == "443") && !(u.Scheme == "http" && u.Port() == "80")
	}, "want an origin as browsers send it: scheme://host in lower case, with :port unless it is the scheme's default, without path, without *")(v)
}

const wantPHC = "want the PHC string of an argon2id hash, $argon2id$v=19$m=19456,t=2,p=1$salt$hash; within { } its commas need quotes"

// checkPHC returns what is wrong with the PHC string of an argon2id hash, or "".
func checkPHC(s string) string {
	switch _, err := phc.Parse(s); {
	case errors.Is(err, phc.ErrBounds):
		return "has " + err.Error()
	case err != nil:
		return wantPHC
	}
	return ""
}
