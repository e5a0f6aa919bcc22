package rows

import (
	"errors"

	"example.com/umpire/uma"
)

// UserTexts are the columns of a user that decisions depend on. Two are equal if the users are,
// for decisions.
type UserTexts struct {
	Username, Roles, ClientRoles, Groups, Claims string
	Enabled                                      bool
}

// TextsOf returns the columns of a user.
func TextsOf(u *uma.User) (UserTexts, error) {
	clientRoles, err := DocumentText(u.ClientRoles)
	claims, err2 := DocumentText(u.Claims)
	return UserTexts{u.Username, ListText(u.Roles), clientRoles, ListText(u.Groups), claims, u.Enabled}, errors.Join(err, err2)
}
