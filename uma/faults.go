package uma

import (
	"fmt"
	"strings"
)

// A Fault says what is wrong and with what: a face puts it into words. The zero Fault
// says that the Reason is all there is to say.
type Fault struct {
	Kind FaultKind

	// What it is about. Each kind says which of these it has.
	Parameter string // of a form, or member of a body
	Value     string // as it was given
	Resource  string // id, name or URI, as the request names it
	Scopes    []Scope
	Client    string // client_id
	User      string // username, subject id or e-mail address
	Owner     string
	Name      string // of a policy, a resource or a realm
	Setting   string // of the realm file
	Limit     int
	Detail    string // what a parser says of Value
}

// String is the fault in the log: its kind and what it is about.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	for _, fact := range []struct{ name, value string }{
		{"parameter", f.Parameter}, {"value", f.Value}, {"resource", f.Resource}, {"client", f.Client}, {"user", f.User},
		{"owner", f.Owner}, {"name", f.Name}, {"setting", f.Setting},
	} {
		if fact.value != "" {
			fmt.Fprintf(&b, " %s=%q", fact.name, fact.value)
		}
	}
	if len(f.Scopes) > 0 {
		fmt.Fprintf(&b, " scopes=%q", f.Scopes)
	}
	if f.Limit != 0 {
		fmt.Fprintf(&b, " limit=%d", f.Limit)
	}
	return b.String()
}

// A FaultKind is a kind of fault. server/wire has a sentence for each, and a face its
// own where its clients know another.
type FaultKind string

// Faults of any request.
const (
	Missing        FaultKind = "missing"          // Parameter
	Empty          FaultKind = "empty"            // Parameter
	TooLong        FaultKind = "too_long"         // Parameter, Limit in bytes
	NotText        FaultKind = "not_text"         // Parameter: it has control or invisible characters
	TooManyMembers FaultKind = "too_many_members" // Parameter, Limit

	TooManyScopes          FaultKind = "too_many_scopes"           // Limit, of one permission
	TooManyDifferentScopes FaultKind = "too_many_different_scopes" // Limit, of one request
	TicketClaimsTooLarge   FaultKind = "ticket_claims_too_large"   // Limit in bytes, of all permissions together
)

// Faults of names that are to be kept (CheckScope).
const (
	NoScopeName       FaultKind = "no_scope_name"       // Scopes: empty, or the star
	ScopeHasSeparator FaultKind = "scope_has_separator" // Scopes: # or a comma
	ScopeTooLong      FaultKind = "scope_too_long"      // Scopes, Limit in bytes
	ScopeNotText      FaultKind = "scope_not_text"      // Scopes
)

// Faults of who calls the protection API.
const (
	NotResourceServer FaultKind = "not_a_resource_server" // Client
	NotServiceAccount FaultKind = "not_a_service_account" // User, Name of the realm
)

// Faults of resources.
const (
	ResourceNotRegistered FaultKind = "resource_not_registered" // Resource
	ResourceNameUnknown   FaultKind = "resource_name_unknown"   // Name
	ResourceNameTaken     FaultKind = "resource_name_taken"     // Name
	ResourceLacksScope    FaultKind = "resource_lacks_scope"    // Resource, Scopes
	ScopeNotRegistered    FaultKind = "scope_not_registered"    // Scopes
	OwnerUnknown          FaultKind = "owner_unknown"           // Owner
	OwnerIssuerUnknown    FaultKind = "owner_issuer_unknown"    // Value: what is named as the issuer
	OwnerLinked           FaultKind = "owner_linked"            // the identity was linked to a local user
	URIInvalid            FaultKind = "uri_invalid"             // Value, Detail
	URITaken              FaultKind = "uri_taken"               // Value
	TooManySegments       FaultKind = "too_many_segments"       // Limit, of the URIs that a user registers
	NotWebURL             FaultKind = "not_a_web_url"           // Parameter
	MemberNameInvalid     FaultKind = "member_name_invalid"     // Parameter: attributes or descriptions; Limit in bytes
	AttributeHasTooMany   FaultKind = "attribute_has_too_many"  // Name, Limit of its values
	AttributeTooLong      FaultKind = "attribute_too_long"      // Name, Limit in bytes of a value
	AttributesTooLarge    FaultKind = "attributes_too_large"    // Limit in bytes, with descriptions and translations
)

// Faults of tickets and of permission requests.
const (
	NoResourceNamed      FaultKind = "no_resource_named"
	PermissionHasID      FaultKind = "permission_has_id"
	PermissionIncomplete FaultKind = "permission_incomplete" // Parameter
	PermissionExists     FaultKind = "permission_exists"
	NotOwnerManaged      FaultKind = "not_owner_managed" // Resource
	RequesterUnknown     FaultKind = "requester_unknown" // User
	RequestUnknown       FaultKind = "request_unknown"
	MayNotCreate         FaultKind = "may_not_create" // Resource
	MayNotUpdate         FaultKind = "may_not_update" // Resource
	MayNotDelete         FaultKind = "may_not_delete" // Resource
)

// Faults of user-managed policies.
const (
	PolicyHasID           FaultKind = "policy_has_id"
	PolicyHasOtherID      FaultKind = "policy_has_other_id"
	PolicyUnknown         FaultKind = "policy_unknown"           // Value: its id
	PolicyNameTaken       FaultKind = "policy_name_taken"        // Name
	PolicyResourceUnknown FaultKind = "policy_resource_unknown"  // Resource
	PolicyOfOtherResource FaultKind = "policy_of_other_resource" // Resource
	PolicyNotOwnerManaged FaultKind = "policy_not_owner_managed" // Resource
	PolicyScopesInvalid   FaultKind = "policy_scopes_invalid"    // Resource, Scopes
	PolicyNamesTooLarge   FaultKind = "policy_names_too_large"   // Limit in bytes, of those it is for
	PoliciesTooMany       FaultKind = "policies_too_many"        // Limit, of a resource
	PoliciesTooLarge      FaultKind = "policies_too_large"       // Limit in bytes, of a resource
	NotTheOwner           FaultKind = "not_the_owner"            // Resource
	StrategyUnknown       FaultKind = "strategy_unknown"         // Value
	GroupInvalid          FaultKind = "group_invalid"            // Value
	RoleInvalid           FaultKind = "role_invalid"             // Value
	ClientRoleUnknown     FaultKind = "client_role_unknown"      // Value
	PolicyClientUnknown   FaultKind = "policy_client_unknown"    // Client
	PolicyUserUnknown     FaultKind = "policy_user_unknown"      // User
)

// Faults of the UMA grant.
const (
	TokenOpaque   FaultKind = "token_opaque"    // a bearer token or subject_token that is no JWT
	TokenOfIssuer FaultKind = "token_of_issuer" // a bearer token of a trusted issuer, where none is accepted

	AudienceMissing    FaultKind = "audience_missing"
	AudienceUnknown    FaultKind = "audience_unknown"   // Client
	AudienceIsNoServer FaultKind = "audience_no_server" // Client: it is no resource server

	PartyUnknown             FaultKind = "party_unknown"               // nothing says who asks
	SignatureInvalid         FaultKind = "signature_invalid"           // of a claim token
	ClaimTokenMissing        FaultKind = "claim_token_missing"         // that its format announces
	ClaimFormatUnknown       FaultKind = "claim_format_unknown"        // Value
	ClaimTokenOfOtherClient  FaultKind = "claim_token_of_other_client" // it was issued to another
	ClaimTokenOfOtherSubject FaultKind = "claim_token_of_other_subject"
	ClaimTokenExpired        FaultKind = "claim_token_expired"
	ClaimTokenUnsigned       FaultKind = "claim_token_unsigned" // it is no signed JWT
	ClaimsMalformed          FaultKind = "claims_malformed"     // pushed claims
	ClaimsTooLarge           FaultKind = "claims_too_large"     // pushed claims; Limit in bytes

	ResourceUnknown    FaultKind = "resource_unknown"     // Resource: an id, or an id or a name
	NameUnknown        FaultKind = "name_unknown"         // Resource: a name
	URIUnknown         FaultKind = "uri_unknown"          // Resource: a URI
	TypeMissing        FaultKind = "type_missing"         // Value: what it is missing after
	ScopeUnknown       FaultKind = "scope_unknown"        // Scopes: one
	ScopesUnknown      FaultKind = "scopes_unknown"       // Scopes: all of them
	ScopeUnavailable   FaultKind = "scope_unavailable"    // Scopes: one that no resource of the ticket has
	TooManyPermissions FaultKind = "too_many_permissions" // Setting, Limit
	RPTTooLong         FaultKind = "rpt_too_long"         // Value and Limit, in characters
	KeepsChanging      FaultKind = "keeps_changing"       // what the grant rests on
	IssuerKeysMissing  FaultKind = "issuer_keys_missing"  // of a token of a trusted issuer, or of a client's assertion
)

// Faults of clients and users that sign in, and of tokens.
const (
	PublicClient          FaultKind = "public_client"            // Client
	PublicClientForItself FaultKind = "public_client_for_itself" // Client: it has no service account
	NoServiceAccount      FaultKind = "no_service_account"       // Client
	NoPasswordGrant       FaultKind = "no_password_grant"        // Client
	NoTokenExchange       FaultKind = "no_token_exchange"        // Client
	UsernameMissing       FaultKind = "username_missing"
	WrongPassword         FaultKind = "wrong_password" // or an unknown username
	UserDisabled          FaultKind = "user_disabled"

	RefreshTokenInvalid       FaultKind = "refresh_token_invalid"
	RefreshTokenOfOtherClient FaultKind = "refresh_token_of_other_client"
	RefreshTokenExpired       FaultKind = "refresh_token_expired"
	SessionNotActive          FaultKind = "session_not_active"  // that of a refresh token
	ScopeNotRefreshed         FaultKind = "scope_not_refreshed" // Scopes: one that the refresh token does not have
	GrantHasChanged           FaultKind = "grant_has_changed"   // a row that an RPT rests on, or the policy

	SubjectTokenUnusable FaultKind = "subject_token_unusable" // of a token exchange
	NoScopeGranted       FaultKind = "no_scope_granted"       // none of those that a token exchange asks for
	ExchangedTooLong     FaultKind = "exchanged_too_long"     // Limit: of characters

	TokenMissing         FaultKind = "token_missing" // at introspection
	TokenToRevokeMissing FaultKind = "token_to_revoke_missing"
	HintUnknown          FaultKind = "hint_unknown" // Value: of a token's type
	IDTokenHintInvalid   FaultKind = "id_token_hint_invalid"
	NoOpenIDScope        FaultKind = "no_openid_scope"
)

// Faults of the account API.
const (
	NotForAccount      FaultKind = "not_for_account"       // the audience of a token does not have "account"
	NotOfUser          FaultKind = "not_of_user"           // the token is one of a service account
	ResourceNotOwned   FaultKind = "resource_not_owned"    // Resource: there is none, or it is another owner's
	MayNotShare        FaultKind = "may_not_share"         // Resource: its owner does not manage it
	SharedAlready      FaultKind = "shared_already"        // Resource
	SharingChanged     FaultKind = "sharing_changed"       // Resource: since the owner looked at it
	SharedWithOwner    FaultKind = "shared_with_owner"     // the user is the owner
	TooManyUsers       FaultKind = "too_many_users"        // Limit
	TooManyInvitations FaultKind = "too_many_invitations"  // Limit of a resource; or the address has too many
	InvitationUnknown  FaultKind = "invitation_unknown"    // Value: its id; or somebody has taken it
	UserNamedTwice     FaultKind = "user_named_twice"      // User
	SeveralUsers       FaultKind = "several_users"         // User: a username or an e-mail address
	ScopeNotOfResource FaultKind = "scope_not_of_resource" // Scopes: one
	RequestNotPending  FaultKind = "request_not_pending"   // Value: its id
	RequestAnswered    FaultKind = "request_answered"      // Value: its id
	RequestChanged     FaultKind = "request_changed"       // Value: its id
	NothingApproved    FaultKind = "nothing_approved"      // the list of scopes is empty
	ScopeNotRequested  FaultKind = "scope_not_requested"   // Scopes: one
)
