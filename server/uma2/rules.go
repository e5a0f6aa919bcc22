package uma2

import "example.com/umpire/uma/grant"

// Rules are those of the UMA grant as the specifications have it.
var Rules = grant.Rules{
	PollTickets: true, BadClaimIsNeedInfo: true, IdentifyWithIDToken: true, AskForIdentity: true, PublicClaims: true,
	UnavailableScopeIsError: true, IgnoreBadRPT: true, UpgradeAll: true, OneOwner: true,
}
