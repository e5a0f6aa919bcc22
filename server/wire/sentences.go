package wire

import (
	"strconv"
	"strings"

	"example.com/umpire/uma"
)

// Sentences are the sentences for faults. {parameter}, {value}, {resource}, {scopes}, {client}, {user},
// {owner}, {name}, {setting}, {limit} and {detail} stand for what the fault is about.
type Sentences map[uma.FaultKind]string

// Said is the kind of a fault that a face has put into words already: Detail.
const Said uma.FaultKind = "said"

// Say returns a refusal in the words of a face.
func Say(reason uma.Reason, sentence string, cause error) *uma.Error {
	return uma.Reject(reason, uma.Fault{Kind: Said, Detail: sentence}, cause)
}

// Plain are the sentences for faults that a face has no sentence of its own for.
var Plain = Sentences{
	Said: "{detail}",

	// Of any request.
	uma.Missing:                "{parameter} is missing",
	uma.Empty:                  "{parameter} is empty",
	uma.TooLong:                "{parameter} is longer than {limit} bytes",
	uma.NotText:                "{parameter} has control or invisible characters, or is not UTF-8",
	uma.TooManyMembers:         "{parameter} may have {limit} members",
	uma.TooManyScopes:          "More than {limit} scopes in one permission, or in the parameter scope",
	uma.TooManyDifferentScopes: "More than {limit} different scopes in one request",
	uma.TicketClaimsTooLarge:   "The claims of a ticket may have {limit} bytes together",

	// Of tokens of trusted issuers.
	uma.TokenOpaque:   "The token is not a signed JWT, so it cannot be checked here: ask the issuer for an access token for this server's audience",
	uma.TokenOfIssuer: "A token of another issuer is not accepted here: exchange it for a token of this realm",

	uma.NoTokenExchange:      "The client may not exchange tokens: the realm file can allow it (token_exchange)",
	uma.SubjectTokenUnusable: "subject_token is not a valid token of a trusted issuer for this client, or the realm does not accept it",
	uma.NoScopeGranted:       "None of the scopes that are asked for would be granted",
	uma.ExchangedTooLong:     "The token would have more than {limit} characters: the issuer's token says too much of its party",

	// Of names.
	uma.NoScopeName:       "Scope {scopes} is not a scope name",
	uma.ScopeHasSeparator: "Scope {scopes} has a # or a comma, which no scope name may",
	uma.ScopeTooLong:      "Scope {scopes} is longer than {limit} bytes",
	uma.ScopeNotText:      "Scope {scopes} has control or invisible characters, or is not UTF-8",

	// Of who calls the protection API.
	uma.NotResourceServer: "The client [{client}] is not a resource server",
	uma.NotServiceAccount: "The token is a user's, not that of a resource server's service account",

	// Of resources.
	uma.ResourceNotRegistered: "The resource [{resource}] does not exist",
	uma.ResourceNameUnknown:   "There is no resource with the name [{name}]",
	uma.ResourceNameTaken:     "The owner has another resource with the name [{name}]",
	uma.ResourceLacksScope:    "The resource [{resource}] does not have the scopes {scopes}",
	uma.ScopeNotRegistered:    "The scopes {scopes} do not exist",
	uma.OwnerUnknown:          "owner must be a username or the id of a user, iss and sub of a trusted issuer's party, or the client_id of the resource server",
	uma.OwnerIssuerUnknown:    "The issuer [{value}] of the owner is not one that the realm trusts: iss must be that of the realm file, byte by byte",
	uma.OwnerLinked:           "The owner's identity is linked to a local user: name that user as the owner",
	uma.URIInvalid:            "{detail}",
	uma.URITaken:              "The URI [{value}] belongs to another resource",
	uma.TooManySegments:       "The URIs that a user registers may have {limit} segments together",
	uma.NotWebURL:             "{parameter} is not an absolute http or https URL",
	uma.MemberNameInvalid:     "A name in {parameter} is longer than {limit} bytes or has characters that are not text",
	uma.AttributeHasTooMany:   "The attribute [{name}] has more than {limit} values",
	uma.AttributeTooLong:      "The attribute [{name}] has a value of more than {limit} bytes",
	uma.AttributesTooLarge:    "Attributes, descriptions and translations have more than {limit} bytes together",

	// Of tickets and permission requests.
	uma.NoResourceNamed:      "A permission must have a resource or scopes",
	uma.PermissionHasID:      "A new permission request must not have an id",
	uma.PermissionIncomplete: "A permission request must have {parameter}",
	uma.PermissionExists:     "The permission request exists already",
	uma.NotOwnerManaged:      "The owner of the resource [{resource}] does not manage access to it",
	uma.RequesterUnknown:     "The requester [{user}] is not a user",
	uma.RequestUnknown:       "The permission request does not exist",
	uma.MayNotCreate:         "Only the owner and the resource server may create requests for the resource [{resource}]",
	uma.MayNotUpdate:         "Only the owner and the resource server may answer requests for the resource [{resource}]",
	uma.MayNotDelete:         "Only the owner, the requester and the resource server may delete requests for the resource [{resource}]",

	// Of user-managed policies.
	uma.PolicyHasID:           "A new policy must not have an id",
	uma.PolicyHasOtherID:      "id is not that of the path",
	uma.PolicyUnknown:         "The policy [{value}] does not exist",
	uma.PolicyNameTaken:       "There is another policy with the name [{name}]",
	uma.PolicyResourceUnknown: "The resource [{resource}] does not exist",
	uma.PolicyOfOtherResource: "A policy is for the resource [{resource}] alone",
	uma.PolicyNotOwnerManaged: "The owner of the resource [{resource}] does not manage access to it",
	uma.PolicyScopesInvalid:   "Not all of the scopes {scopes} belong to the resource [{resource}]",
	uma.PolicyNamesTooLarge:   "users, roles, groups and clients may have {limit} bytes together",
	uma.PoliciesTooMany:       "A resource may have {limit} policies",
	uma.PoliciesTooLarge:      "The policies of a resource may have {limit} bytes together",
	uma.NotTheOwner:           "Only the owner of the resource [{resource}] may use its policies",
	uma.StrategyUnknown:       "decisionStrategy must be UNANIMOUS, AFFIRMATIVE or CONSENSUS",
	uma.GroupInvalid:          "The group [{value}] is not a path, such as /friends",
	uma.RoleInvalid:           "The role [{value}] is not the name of a role",
	uma.ClientRoleUnknown:     "The role [{value}] is not a role of a client",
	uma.PolicyClientUnknown:   "The client [{client}] does not exist",
	uma.PolicyUserUnknown:     "The user [{user}] does not exist",

	// Of the UMA grant.
	uma.AudienceMissing:    "The request has no ticket, and its audience is no resource server",
	uma.AudienceUnknown:    "The request has no ticket, and its audience is no resource server",
	uma.AudienceIsNoServer: "The request has no ticket, and its audience is no resource server",

	uma.PartyUnknown:             "Neither a token nor the client itself says who asks",
	uma.SignatureInvalid:         "Invalid signature",
	uma.ClaimTokenMissing:        "claim_token is missing: claim_token_format announces one that says who asks",
	uma.ClaimFormatUnknown:       "Claim token format [{value}] not supported",
	uma.ClaimTokenOfOtherClient:  "Token issued to a different client",
	uma.ClaimTokenOfOtherSubject: "Token issued for a different subject",
	uma.ClaimTokenExpired:        "Expired token",
	uma.ClaimTokenUnsigned:       "Invalid claims: claim_token is no signed JWT",
	uma.ClaimsMalformed:          "Invalid claims",
	uma.ClaimsTooLarge:           "Invalid claims: pushed claims may have {limit} bytes",

	uma.ResourceUnknown:    "Resource with id [{resource}] does not exist.",
	uma.NameUnknown:        "Resource with name [{resource}] does not exist.",
	uma.URIUnknown:         "Resource with uri [{resource}] does not exist.",
	uma.TypeMissing:        "permission: a type is missing after {value}:",
	uma.ScopeUnknown:       "Invalid scope {scopes}.",
	uma.ScopesUnknown:      "One of the given scopes {scopes} is invalid",
	uma.ScopeUnavailable:   "A scope that is asked for is available on no resource of the ticket",
	uma.TooManyPermissions: "The request resolves to more than {setting} ({limit}) permissions",
	uma.RPTTooLong:         "The RPT would have {value} characters, and may have {limit}: ask for fewer permissions",
	uma.KeepsChanging:      "What the request is about keeps changing: try again",
	uma.IssuerKeysMissing:  "The keys that the token is signed with could not be fetched yet: try again",

	uma.PublicClient:              "A public client may not do this",
	uma.PublicClientForItself:     "A public client has no service account",
	uma.NoServiceAccount:          "The client has no service account",
	uma.NoPasswordGrant:           "The client may not use the password grant",
	uma.UsernameMissing:           "username is missing",
	uma.WrongPassword:             "The username or the password is wrong",
	uma.UserDisabled:              "The user is disabled",
	uma.RefreshTokenInvalid:       "The refresh token is invalid",
	uma.RefreshTokenOfOtherClient: "The refresh token was issued to another client",
	uma.RefreshTokenExpired:       "The refresh token has expired",
	uma.SessionNotActive:          "The session has ended",
	uma.ScopeNotRefreshed:         "Invalid scopes: the refresh token does not have {scopes}",
	uma.GrantHasChanged:           "The policy, or something else that the permissions rest on, has changed: ask for the permissions again",
	uma.TokenMissing:              "Token not provided.",
	uma.TokenToRevokeMissing:      "token is missing",
	uma.HintUnknown:               "token_type_hint is unknown",
	uma.IDTokenHintInvalid:        "id_token_hint is invalid",
	uma.NoOpenIDScope:             "The token lacks the scope openid",

	uma.NotForAccount:      "The token is not for the account API: its audience does not have account",
	uma.NotOfUser:          "The token is not one of a user",
	uma.ResourceNotOwned:   "The resource [{resource}] does not exist, or has another owner",
	uma.MayNotShare:        "The resource is not managed by its owner",
	uma.SharedAlready:      "The resource is shared already",
	uma.SharingChanged:     "The resource was shared with others meanwhile",
	uma.SharedWithOwner:    "A resource cannot be shared with its owner",
	uma.TooManyUsers:       "At most {limit} users can be named at a time",
	uma.TooManyInvitations: "At most {limit} addresses that no user has can be invited to a resource, and each to some resources: withdraw invitations first",
	uma.InvitationUnknown:  "There is no invitation [{value}] that nobody has taken",
	uma.UserNamedTwice:     "User [{user}] is named twice",
	uma.SeveralUsers:       "[{user}] is the name or e-mail address of several users: give a username that is not the address of another user",
	uma.ScopeNotOfResource: "Scope {scopes} is invalid",
	uma.RequestNotPending:  "There is no pending request [{value}]",
	uma.RequestAnswered:    "The request was answered already",
	uma.RequestChanged:     "The request has changed since it was read: read it again",
	uma.NothingApproved:    "No scope is approved",
	uma.ScopeNotRequested:  "Scope {scopes} was not asked for",
}

// Say returns the sentence for a fault, that of Plain if s has none, and "" if there is
// none.
func (s Sentences) Say(f uma.Fault) string {
	sentence, ok := s[f.Kind]
	if !ok {
		sentence = Plain[f.Kind]
	}
	if !strings.Contains(sentence, "{") {
		return sentence
	}
	return strings.NewReplacer(
		"{parameter}", f.Parameter, "{value}", f.Value, "{resource}", f.Resource, "{scopes}", list(f.Scopes),
		"{client}", f.Client, "{user}", f.User, "{owner}", f.Owner, "{name}", f.Name, "{setting}", f.Setting,
		"{limit}", strconv.Itoa(f.Limit), "{detail}", f.Detail,
	).Replace(sentence)
}

// list prints a list as Keycloak does. Long lists and long names are cut: their beginning is
// enough to find the mistake.
func list(scopes []uma.Scope) string {
	const most, longest = 10, 64
	short := make([]string, 0, most+1)
	for i, scope := range scopes {
		if i == most {
			short = append(short, "…")
			break
		}
		s := string(scope)
		if len(s) > longest {
			s = strings.ToValidUTF8(s[:longest], "") + "…"
		}
		short = append(short, s)
	}
	return "[" + strings.Join(short, ", ") + "]"
}
