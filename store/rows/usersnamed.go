package rows

import (
	"slices"

	"example.com/umpire/uma"
)

// NamesAndEmails returns the forms in which users are looked up who have one of these texts as a name or
// as an e-mail address.
func NamesAndEmails(namesOrEmails []string) (names, emails []string) {
	for _, name := range namesOrEmails {
		if name != "" {
			names, emails = append(names, Fold(name)), append(emails, LowerASCII(name))
		}
	}
	return names, emails
}

// UsersNamed returns, for each text, the user with that name, then the users with that e-mail address,
// from those that were found by the forms of NamesAndEmails; texts without a user are left out.
func UsersNamed(namesOrEmails []string, byName, byEmail map[string][]*uma.User) map[string][]*uma.User {
	found := map[string][]*uma.User{}
	for _, name := range namesOrEmails {
		users := slices.Clone(byName[Fold(name)])
		for _, u := range byEmail[LowerASCII(name)] {
			if !slices.ContainsFunc(users, func(named *uma.User) bool { return named.Key == u.Key }) {
				users = append(users, u)
			}
		}
		if len(users) > 0 {
			found[name] = users
		}
	}
	return found
}
