package protection

// Rules are what a face decides about the protection API. The zero Rules are those of
// Keycloak's face for tickets and policies.
type Rules struct {
	// PAT says which access tokens are PATs.
	PAT PATRule

	// Nameless: a resource needs no name. One without a name gets its id as its name.
	Nameless bool

	// OwnersManage: descriptions do not say who manages access to a resource. It is the
	// owner, if that is not the resource server.
	OwnersManage bool

	// KeepUndescribed: replacing a description keeps what descriptions cannot have: the
	// URIs, the display name, and who manages access.
	KeepUndescribed bool

	// OwnScopesOnly: a ticket may be for scopes of the resource itself, not for those
	// that it has by its type.
	OwnScopesOnly bool

	// OneOwner: a ticket is for resources of one owner, and with a user's PAT for
	// resources of that user.
	OneOwner bool

	// LeaveOutUnknownScopes: a ticket is for those of the scopes that exist. Without the
	// rule, an unknown scope is refused. A permission of which no scope is left is left
	// out, too: the ticket may be for nothing.
	LeaveOutUnknownScopes bool
}

// A PATRule says which access tokens of a resource server's client are PATs.
type PATRule byte

// The rules.
const (
	AnyToken         PATRule = iota // those of its service account and of any user
	WithRole                        // those with the client role uma_protection
	WithScope                       // those with the scope uma_protection (FedAuthz §1.3)
	OfServiceAccount                // those of its service account with the client role uma_protection
)
