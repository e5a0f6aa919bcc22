package keycloak

import (
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// sentences are Keycloak's own, for the faults that it words differently from
// wire.Plain. Its clients and their tests compare some of them, mistakes of spelling
// included.
var sentences = wire.Sentences{
	uma.TicketClaimsTooLarge: "Invalid claims: pushed claims may have {limit} bytes, in all permissions of a ticket together",
	uma.NotResourceServer:    "Client application [{client}] is not registered as a resource server.",

	// Of clients and users that sign in, and of tokens.
	uma.PublicClient:              "Client not allowed.",
	uma.PublicClientForItself:     "Public client not allowed to retrieve service account",
	uma.NoServiceAccount:          "Client not enabled to retrieve service account",
	uma.NoPasswordGrant:           "Client not allowed for direct access grants",
	uma.UsernameMissing:           "Missing parameter: username",
	uma.WrongPassword:             "Invalid user credentials",
	uma.UserDisabled:              "Account disabled",
	uma.RefreshTokenInvalid:       "Invalid refresh token",
	uma.RefreshTokenOfOtherClient: "Invalid refresh token. Token client and authorized client don't match",
	uma.RefreshTokenExpired:       "Token is not active",
	uma.SessionNotActive:          "Session not active",
	uma.TokenToRevokeMissing:      "Token not provided",
	uma.HintUnknown:               "Unsupported token type.",
	uma.IDTokenHintInvalid:        "Invalid parameter: id_token_hint",
	uma.NoOpenIDScope:             "Missing openid scope",

	// Of resources and tickets.
	uma.ResourceNotRegistered: "Resource set with id [{resource}] does not exists in this server.",
	uma.ResourceNameTaken:     "Resource with name [{name}] already exists.",
	uma.ResourceLacksScope:    "Resource set with id [{resource}] does not have Scope {scopes}",
	uma.ScopeNotRegistered:    "Scope {scopes} is invalid",
	uma.OwnerUnknown:          "Owner must be a valid username or user identifier. If the resource server, the client id or null.",
	uma.NoResourceNamed:       "Resource id or name not provided.",

	// Of permission requests.
	uma.PermissionHasID:      "created permissions should not have id",
	uma.PermissionIncomplete: "created permissions should have {parameter}",
	uma.PermissionExists:     "Permission already exists",
	uma.NotOwnerManaged:      "permission can only be created for resources with user-managed access enabled",
	uma.RequesterUnknown:     "Requester does not exists in this server as user.",
	uma.RequestUnknown:       "invalid_ticket",
	uma.MayNotCreate:         "permissions for [{resource}] can be only created by the owner or by the resource server itself",
	uma.MayNotUpdate:         "permissions for [{resource}] can be updated only by the owner or by the resource server",
	uma.MayNotDelete:         "permissions for [{resource}] can be deleted only by the owner, the requester, or the resource server",

	// Of user-managed policies.
	uma.PolicyHasID:           "Newly created uma policies should not have an id",
	uma.PolicyUnknown:         "Policy with [{value}] does not exist",
	uma.PolicyNameTaken:       "Policy with name [{name}] already exists",
	uma.PolicyResourceUnknown: "Resource [{resource}] cannot be found",
	uma.PolicyNotOwnerManaged: "Only resources with owner managed accessed can have policies",
	uma.PolicyScopesInvalid:   "Some of the scopes [{scopes}] are not valid for resource [{resource}]",
	uma.NotTheOwner:           "Only resource owner can access policies for resource [{resource}]",
	uma.PolicyClientUnknown:   "Client [{client}] does not exist",
	uma.PolicyUserUnknown:     "User [{user}] does not exist",

	// Of the UMA grant.
	uma.AudienceMissing:    "You must provide the issuedFor",
	uma.AudienceUnknown:    "Unknown resource server id: [{client}]",
	uma.AudienceIsNoServer: "Client does not support permissions",
}
