package uma2

import (
	"example.com/umpire/uma/grant"
	"example.com/umpire/uma/protection"
)

// Rules are those of the UMA grant as the specifications have it.
var Rules = grant.Rules{
	PollTickets: true, BadClaimIsNeedInfo: true, IdentifyWithIDToken: true, AskForIdentity: true, PublicClaims: true,
	UnavailableScopeIsError: true, IgnoreBadRPT: true, UpgradeAll: true, OneOwner: true,
}

// ProtectionRules are those of Federated Authorization: its descriptions have no URIs and do not say
// who manages access (§3.1), its tickets are for registered scopes of one owner's
// resources (§4.1).
var ProtectionRules = protection.Rules{
	PAT:             protection.WithScope,
	Nameless:        true,
	OwnersManage:    true,
	KeepUndescribed: true,
	OwnScopesOnly:   true,
	OneOwner:        true,
}
