package tests

// What Umpire makes of a rule.
const (
	holds     = "holds"
	different = "different"
	notYet    = "not yet"
)

// A rule is one of the specifications'.
type rule struct {
	id, section, gist, status string
	tests                     []string // that show it
	why                       string   // why it does not hold, or how it does
}

const conformanceHead = `# Conformance

There is one row for each rule of [UMA 2.0 Grant](https://docs.kantarainitiative.org/uma/wg/rec-oauth-uma-grant-2.0.html) (G)
and of [Federated Authorization](https://docs.kantarainitiative.org/uma/wg/rec-oauth-uma-federated-authz-2.0.html) (F) that
concerns an authorization server or a resource server:

- **holds** (%d): Umpire follows the rule; the tests show it.
- **different** (%d): Umpire deliberately does something else, for the reason given.
- **not yet** (%d): Umpire does not follow the rule yet; the row says what is missing.

Tests without a package are in ` + "`tests/`" + `. A test writes this page from the table in ` + "`tests/conformance_rules_test.go`" + ` and
checks that every test in it exists: ` + "`go test ./tests -run TestConformanceDocument -update`" + `.
`

// Reasons that several rules share.
const (
	onTheFace   = "with `profile: uma2`; otherwise [Keycloak's words](choices/keycloak.md#keycloaks-words-on-keycloaks-endpoints)"
	interactive = "waits for a browser (interactive claims gathering): [choices](choices/sign-in.md#no-interactive-login-yet)"
	handles     = "waits for a browser, in which the party consents (PCT); `pct` is ignored"
	shapes      = "with `profile: uma2`; otherwise [Keycloak's shapes](choices/keycloak.md#resources-look-like-keycloaks)"
	hinted      = "with `profile: uma2`; otherwise [with Keycloak's hint](choices/keycloak.md#introspection-has-both-spellings-with-keycloaks-hint)"
)

// conformance has every rule, in the order of the specifications.
var conformance = []struct {
	title string
	rules []rule
}{
	{"Grant: general and discovery", []rule{
		{"G1", "1.1", "names and values of parameters are case sensitive", holds, []string{"TestGrant/G1_names_and_values_differ_by_case", "TestAttackProtection/A-27_scopes_are_compared_byte_by_byte", "TestUMA2Registration/G1_names_differ_by_case_and_G2_unknown_ones_are_ignored"}, ""},
		{"G2", "1.1", "unknown members are ignored", holds, []string{"TestGrant/G2_what_is_unknown_is_ignored", "TestUMA2Registration/G1_names_differ_by_case_and_G2_unknown_ones_are_ignored"}, ""},
		{"G3", "1.3", "an RPT is unique to requesting party, client, server, resource server and owner", holds, []string{"TestGrant/G3_one_party_client_and_resource_server", "TestMerge/an_rpt_that_is_not_one:_of_another_party", "TestMerge/an_rpt_that_is_not_one:_of_another_client", "TestMerge/an_rpt_that_is_not_one:_of_another_resource_server", "TestUMA2Grant/G3_an_RPT_is_for_one_owner"}, "for one owner with a ticket and `profile: uma2`; otherwise [for several](choices/grant.md#several-owners-in-one-ticket)"},
		{"G4", "1.3", "permissions are opaque to the client", different, []string{"TestGrant/G4_no_permission_in_the_response"}, "the response names none, [the RPT shows them](choices/keycloak.md#the-token-response-shows-scope-and-the-rpt-its-permissions)"},
		{"G5", "2", "a discovery document in the form of RFC 8414", holds, []string{"TestGrant/G6_discovery", "server.TestDiscovery"}, ""},
		{"G6", "2", "at issuer + /.well-known/uma2-configuration", holds, []string{"TestGrant/G6_discovery", "TestUMA2Discovery/F6_endpoints"}, "and at the path of RFC 8414"},
		{"G7", "2", "`claims_interaction_endpoint`", notYet, nil, interactive},
		{"G8", "2, 4", "`uma_profiles_supported`", holds, []string{"TestUMA2Discovery/G8_G10_profiles"}, "with `profile: uma2`: [claim token formats](choices/uma2.md#discovery-lists-claim-token-formats-as-profiles)"},
		{"G9", "2", "with dynamic registration, client metadata `claims_redirect_uris`", notYet, nil, "there is no dynamic registration; the realm file has the member, but it has no effect yet"},
		{"G10", "3.3.1", "claim token profiles SHOULD be in discovery", holds, []string{"TestUMA2Discovery/G8_G10_profiles"}, "with `profile: uma2`"},
	}},
	{"Grant: resource server and client", []rule{
		{"G11", "3.2", "the resource server obtains a ticket for a reasonable set of scopes", holds, []string{"pep.TestNoTokenGetsTicket"}, ""},
		{"G12", "3.2.1", "401 with `WWW-Authenticate: UMA` realm, as_uri, ticket", holds, []string{"pep.TestNoTokenGetsTicket", "pep.TestQuoting"}, ""},
		{"G13", "3.2.2", "403 with `Warning: 199` when the server cannot be reached", holds, []string{"pep.TestUnreachable", "pep.TestNoConnection"}, ""},
		{"G14", "3.5", "no access with an RPT that is invalid or insufficient, a new ticket instead", holds, []string{"pep.TestTokensThatGiveNoAccess", "pep.TestIntrospectionThatGivesNoAccess", "pep.TestAllScopesAreNeeded"}, ""},
	}},
	{"Grant: the token request", []rule{
		{"G15", "3.3.1", "`grant_type` is that of the UMA grant", holds, []string{"TestTokenEndpointErrors/unknown_grant", "TestTokenEndpointErrors/no_grant_type"}, ""},
		{"G16", "3.3.1", "`ticket` is required, the most recent one", different, []string{"TestAttackTickets/A-3_old_ticket_after_need_info"}, "[permissions may be named instead](choices/grant.md#permissions-may-be-named-instead-of-a-ticket)"},
		{"G17", "3.3.1", "`claim_token`, base64url, together with `claim_token_format`", holds, []string{"uma/grant.TestDecodePushedTakesAnyBase64", "uma/grant.TestClaimFormat", "TestClaimTokenOfIssuer", "TestUMA2Errors/G63_a_claim_token_without_its_format", "TestUMA2Errors/G63_a_format_without_a_claim_token"}, "required together with `profile: uma2`; otherwise a token without a format is an ID token: [claim tokens](choices/grant.md#claim-tokens)"},
		{"G18", "3.3.1", "`claim_token_format` may be that of ID tokens", holds, []string{"TestGrant/G18_both_spellings_of_the_format", "TestKeycloakAnswers/claims.id_token_as_claims", "TestClaimTokenOfIssuer", "cmd/umpire.TestDemoClinic"}, "of the realm and of [trusted issuers](issuers.md)"},
		{"G19", "3.3.1", "`pct`", notYet, nil, handles},
		{"G20", "3.3.1", "`rpt`, which may have expired", holds, []string{"TestMerge/an_expired_rpt_carries_nothing", "uma/grant.TestCarriedRPT", "TestUMA2Upgrade/A-60_expired_and_withdrawn"}, ""},
		{"G21", "3.3.1", "`scope` counts if the client is registered for it", holds, []string{"TestAssessment/G21_nor_those_of_a_client_that_registered_none", "TestAssessment/G44_registered_scopes_are_added"}, "with a ticket; [without one](choices/grant.md#what-the-parameter-scope-does) as Keycloak does"},
	}},
	{"Grant: claims interaction", []rule{
		{"G22", "3.3.2", "`client_id` is required", notYet, nil, interactive},
		{"G23", "3.3.2", "`ticket` is required", notYet, nil, interactive},
		{"G24", "3.3.2", "`claims_redirect_uri`, unless one is registered", notYet, nil, interactive},
		{"G25", "3.3.2", "it is absolute, keeps its query, has no fragment", notYet, nil, interactive},
		{"G26", "3.3.2", "public clients must register it", notYet, nil, interactive},
		{"G27", "3.3.2", "it is compared as a string", notYet, nil, interactive},
		{"G28", "3.3.2", "no redirect to an OAuth redirect URI", notYet, nil, interactive},
		{"G29", "3.3.2", "`state` is recommended", notYet, nil, interactive},
		{"G30", "5.1", "protection against CSRF", notYet, nil, interactive},
		{"G31", "3.3.3", "redirect back with a new ticket and `state`", notYet, nil, interactive},
		{"G32", "3.3.3", "the requesting party may let claims be kept", notYet, nil, interactive},
		{"G33", "3.3.3", "no redirect to a bad URI or for a bad client", notYet, nil, interactive},
		{"G34", "3.3.3", "other failures: redirect with `error`", notYet, nil, interactive},
		{"G35", "-", "`authorization_state` of UMA 1 is not sent", notYet, nil, interactive + "; nothing sends it"},
	}},
	{"Grant: permission tickets", []rule{
		{"G36", "5.4", "cannot be guessed, at most 2^-160", holds, []string{"TestGrant/G36_tickets_cannot_be_guessed", "TestAttackTickets/A-6_all_unusable_tickets_look_alike"}, ""},
		{"G37", "5.5", "single use", holds, []string{"TestRaceForATicket", "TestAttackTickets/A-1_replay_after_success", "TestKill", "TestUMA2Grant/G37_one_of_fifty_at_once"}, "unless the realm says [`ticket_reuse`](choices/grant.md#tickets-are-opaque-and-single-use)"},
		{"G38", "5.5", "invalid once presented, or expired", holds, []string{"TestAttackTickets/A-7_expired", "TestAttackTickets/A-3_old_ticket_after_a_refusal", "TestAttackTickets/A-10_malformed_request_spends_nothing", "TestUMA2Errors"}, "a malformed request, or one of another client, [does not count](choices/uma2.md#which-answers-spend-a-ticket) as presenting it"},
		{"G39", "5.5", "any format", holds, []string{"TestGrant/G36_tickets_cannot_be_guessed"}, "a random reference"},
		{"G40", "5.5", "on signs of compromise, consider invalidating what was issued", holds, []string{"TestReplayedTicket", "uma/grant.TestReplayedTicket"}, "[presented by a second client](choices/grant.md#a-ticket-presented-by-a-second-client-revokes-its-tokens)"},
		{"G41", "5.5", "with request_submitted the new ticket lives for a poll", holds, []string{"TestUMA2Grant/A-97_polling"}, "with `profile: uma2`; otherwise [there is none](choices/keycloak.md#no-new-ticket-with-request_submitted)"},
		{"G42", "3.3.6", "need_info, request_submitted and the redirect have a new ticket, all else none", holds, []string{"TestNeedInfo", "TestGrant/G42_only_need_info_has_a_ticket", "TestUMA2Errors", "TestUMA2Grant/G42_a_rotated_ticket_is_its_clients_and_its_partys"}, "request_submitted has one in a realm with `profile: uma2`, otherwise [not](choices/keycloak.md#no-new-ticket-with-request_submitted)"},
	}},
	{"Grant: assessment", []rule{
		{"G43", "3.3.4", "registered, requested and ticket scopes", holds, []string{"TestAssessment/G43_others_are_not", "TestAssessment/G43_without_scope_it_is_the_ticket"}, ""},
		{"G44", "3.3.4", "ticket scopes, and requested ones that are registered and the resource's", holds, []string{"TestAssessment/G44_registered_scopes_are_added"}, ""},
		{"G45", "3.3.4", "conditions, claims and other inputs are evaluated", holds, []string{"TestDecisionRecord", "engine.TestDecide", "TestKeycloakAnswers/claims.pushed_with_ticket"}, ""},
		{"G46", "3.3.4", "what passes is a candidate", holds, []string{"TestAssessment/G44_registered_scopes_are_added", "TestContract"}, "a policy narrows and never widens"},
		{"G47", "3.3.4", "all granted: an RPT", holds, []string{"TestSeedProcess", "uma/grant.TestAnswer"}, ""},
		{"G48", "3.3.4", "else part of it, or an error", holds, []string{"TestAssessment/G44_registered_scopes_are_added", "TestAllOrNothing"}, "[the realm says which](choices/grant.md#partial-or-all-or-nothing)"},
		{"G49", "5.6", "default deny, with no policy and without scopes too", holds, []string{"TestAttackGrant/A-51_no_policy_grants_nothing", "TestAttackGrant/A-52_permissions_without_scopes", "TestNoPolicy", "uma/grant.TestAnswerNeverGrantsForNothing"}, ""},
	}},
	{"Grant: success", []rule{
		{"G50", "3.3.5", "the response of RFC 6749 §5.1, not stored", holds, []string{"TestGrant/G50_success", "server/keycloak.TestTokenResponseOnTheWire", "TestUMA2Grant/G50_G51_success_has_no_scope"}, ""},
		{"G51", "3.3.5", "SHOULD NOT include `scope`", holds, []string{"TestUMA2Grant/G50_G51_success_has_no_scope"}, "with `profile: uma2`; otherwise [clients read it](choices/keycloak.md#the-token-response-shows-scope-and-the-rpt-its-permissions)"},
		{"G52", "3.3.5", "a `pct` cannot be guessed and tells nothing", notYet, nil, handles},
		{"G53", "5.2", "a PCT is confidential and bound to its client", notYet, nil, handles},
		{"G54", "6.2", "claims are kept securely, with the party's consent", notYet, nil, handles},
		{"G55", "3.3.5.1", "upgrading MAY be implemented, consistently", holds, []string{"TestMerge", "TestUMA2Upgrade"}, "[how Umpire does it](choices/grant.md#upgrading-an-rpt)"},
		{"G56", "3.3.5.1", "`upgraded` says that the old permissions are included", holds, []string{"TestMerge/what_is_gone_is_dropped,_and_the_call_does_not_fail", "uma/grant.TestUpgraded", "TestUMA2Upgrade/G56_upgraded_says_that_the_old_permissions_are_included"}, ""},
		{"G57", "3.3.5.1", "SHOULD revoke the old RPT", holds, []string{"TestGrant/G57_the_old_RPT_stays", "TestUMA2Upgrade/A-62_the_old_rpt_is_good_no_more", "TestUMA2Upgrade/A-62_an_rpt_that_was_not_upgraded_stays"}, "with `profile: uma2`; otherwise [it stays](choices/grant.md#upgrading-an-rpt)"},
	}},
	{"Grant: errors", []rule{
		{"G58", "3.3.6", "unusable ticket: 400 invalid_grant", holds, []string{"TestGrantErrors/ticket_not_decodable", "TestAttackTickets/A-6_all_unusable_tickets_look_alike", "TestUMA2Errors/G58_unusable_tickets_look_alike", "TestUMA2Errors/G58_expired"}, onTheFace},
		{"G59", "3.3.6", "a scope of no resource of the ticket: 400 invalid_scope", holds, []string{"TestAttackGrant/A-49_scopes_that_the_ticket_is_not_for", "TestUMA2Errors/G59_a_scope_of_no_resource_of_the_ticket"}, "with `profile: uma2`; otherwise [it adds nothing](choices/grant.md#what-the-parameter-scope-does)"},
		{"G60", "3.3.6", "need_info: 403, a new ticket, what is wanted; for bad claim tokens too", holds, []string{"TestNeedInfo", "TestSeedSubmitRequest", "TestUMA2Errors", "TestAttackClaimTokens", "TestUMA2Errors/G60_an_expired_claim_token"}, "for bad claim tokens with `profile: uma2`; otherwise some are [400](choices/grant.md#claim-tokens)"},
		{"G61", "3.3.6", "request_denied: 403", holds, []string{"TestGrantErrors/denied_with_a_ticket_for_any_other", "TestUMA2Errors/G61_denied"}, onTheFace},
		{"G62", "3.3.6", "request_submitted: 403, a new ticket, MAY `interval`", holds, []string{"TestGrantErrors/denied_with_a_ticket_for_an_owner-managed_resource", "TestUMA2Errors/G62_submitted_to_the_owner", "TestUMA2Grant/A-97_polling"}, onTheFace},
		{"G63", "3.3.6", "the rest as in RFC 6749", holds, []string{"TestTokenEndpointErrors", "TestAttackGrant/A-46_grants_that_are_not_the_clients", "TestUMA2Errors"}, ""},
		{"G64", "3.3.6", "members of `required_claims`", holds, []string{"TestNeedInfo", "engine.TestDecideReadsAll", "TestUMA2Errors", "TestClaimTokenOfIssuer"}, ""},
		{"G65", "3.3.6", "`redirect_user`", notYet, nil, interactive},
		{"G66", "3.3.6", "errors are not stored", holds, []string{"TestGrant/G66_errors_are_not_stored", "TestUMA2Errors"}, ""},
	}},
	{"Grant: refresh, revocation, trust", []rule{
		{"G67", "3.6", "a refresh makes no assessment", holds, []string{"TestRefreshKeepsAnRPT", "uma/party.TestRefreshOfAnRPT"}, "nor does it narrow permissions, which it MAY"},
		{"G68", "3.7", "revocation takes RPT, refresh token and PCT", holds, []string{"TestGrant/G68_revocation"}, "there are no PCTs yet"},
		{"G69", "6.1", "a withdrawal promptly invalidates RPTs and refresh tokens", holds, []string{"TestWhatAnRPTRestsOn", "TestWhatAnRPTOfAPolicyRestsOn", "TestRaceWithAWithdrawal", "TestWithdrawalByRealmFile", "TestWithdrawalByPolicy"}, "a new policy ends [only the refresh](choices/tokens.md#a-new-policy-does-not-end-rpts-but-their-refresh)"},
		{"G70", "5.7", "no claims of untrusted clients, audience of claim tokens", holds, []string{"TestTokenEndpointErrors/public_client_that_pushes_claims", "uma/grant.TestTokenRefusals", "TestAttackClaimTokens", "TestAPIShowsItsOwnToken", "TestUMA2Grant/G70_a_signed_token_of_a_public_client"}, ""},
		{"G71", "5.2", "users may be switched between redirect and token request", notYet, nil, interactive},
		{"G72", "5.3", "RPTs with proof of possession are allowed", notYet, nil, "there are only bearer RPTs so far; a token of an issuer that is bound to a key (`cnf`) is refused as a bearer"},
		{"G73", "5", "BCP 195, RFC 6749 §10, RFC 6750 §5, RFC 6819", holds, []string{"TestAttackGrant", "TestAttackTickets", "TestSecretsStayOut", "TestRaceForARefreshToken"}, "TLS ends [in a proxy in front](choices/server.md#urls-are-never-built-from-what-a-request-says)"},
		{"G74", "7", "registered names", holds, []string{"TestGrant/G6_discovery", "TestNeedInfo", "uma.TestReasonsAreTheCodesOfTheSpecifications"}, "those of the endpoints that are served"},
	}},
	{"Federated Authorization: the protection API", []rule{
		{"F1", "1.3", "TLS", holds, []string{"TestFederated/F1_nothing_over_plain_HTTP"}, "the public URL is https, except on a loopback address; a proxy in front ends TLS"},
		{"F2", "1.3", "a valid PAT with uma_protection, as a bearer token", holds, []string{"TestAttackProtection/A-18_garbage", "TestAttackProtection/A-19_without_uma_protection", "TestUMA2Attacks/A-17_no_token", "TestUMA2Attacks/A-18_garbage_expired_revoked", "TestUMA2Attacks/A-19_without_uma_protection"}, "the scope with `profile: uma2`; otherwise [a client role](choices/protection.md#which-tokens-are-pats), as Keycloak has it"},
		{"F3", "1.3", "a PAT is unique to owner, resource server and server", holds, []string{"TestAttackProtection/A-22_resource_of_another_owner", "TestAttackProtection/A-20_of_another_realm", "TestUMA2Introspection/F3_of_the_owner_and_the_resource_server"}, ""},
		{"F4", "1.4", "tickets and introspection work while the owner is offline", holds, []string{"TestFederated/F4_without_the_owner", "TestUMA2Permission/F4_while_the_owner_is_offline"}, ""},
		{"F5", "1.5", "the endpoints are in discovery", holds, []string{"TestFederated/F5_discovery", "TestUMA2Discovery/F6_endpoints"}, ""},
		{"F6", "2", "`permission_endpoint`, `resource_registration_endpoint`, `introspection_endpoint`", holds, []string{"TestFederated/F5_discovery", "TestKeycloakAnswers/discovery.uma2", "TestUMA2Discovery/F6_endpoints"}, ""},
		{"F7", "6", "`error`, and RFC 6750 for failing authentication", holds, []string{"TestAttackProtection/A-17_no_token", "server/keycloak.TestWords", "TestUMA2Attacks/A-17_no_token", "TestUMA2Attacks/A-19_without_uma_protection"}, onTheFace},
		{"F8", "8", "lifetimes of PATs favour the owner", holds, []string{"TestFederated/F8_a_PAT_lasts_as_long_as_the_realm_says"}, ""},
	}},
	{"Federated Authorization: resources", []rule{
		{"F9", "3.1", "`resource_scopes` required; `description`, names in other languages", holds, []string{"server/keycloak.TestParseResource", "TestUMA2Registration/F9_all_that_is_registered_is_given_back", "TestUMA2Registration/F9_scopes_are_required_and_may_be_none"}, shapes},
		{"F10", "3.1.1", "scope descriptions are not fetched", holds, []string{"TestAttackProtection/A-38_icons_are_not_fetched", "TestUMA2Attacks/A-38_icons_are_not_fetched"}, ""},
		{"F11", "3.2", "create, read, update, delete, list", holds, []string{"TestFederated/F11_registration", "TestUMA2Registration/F11_with_and_without_a_slash"}, "with and without a slash at the end"},
		{"F12", "3.2", "`_id` in answers, `user_access_policy_uri` optional", holds, []string{"TestFederated/F11_registration", "TestUMA2Registration/F15_update_replaces_and_answers_200_with_the_id"}, "in the answer to an update only with `profile: uma2`"},
		{"F13", "3.2.1", "create: 201, `Location`, `_id`", holds, []string{"TestFederated/F11_registration", "TestUMA2Registration/F13_create_answers_201_with_Location"}, shapes},
		{"F14", "3.2.2", "read: 200 with the description", holds, []string{"TestFederated/F11_registration", "TestKeycloakAnswers/resource.read", "TestUMA2Registration/F9_all_that_is_registered_is_given_back"}, ""},
		{"F15", "3.2.3", "update replaces: 200 with `_id`", holds, []string{"TestFederated/F11_registration", "TestKeycloakAnswers/resource.replace", "TestUMA2Registration/F15_update_replaces_and_answers_200_with_the_id"}, shapes},
		{"F16", "3.2.4", "delete: 200 or 204", holds, []string{"TestFederated/F11_registration", "TestUMA2Registration/F16_delete_ends_the_protection"}, ""},
		{"F17", "3.2.5", "list: the ids of this owner's resources", holds, []string{"TestAttackProtection/A-23_lists_show_ones_own", "TestFilters", "TestUMA2Registration/F17_the_list_is_the_owners"}, "on Keycloak's face the resource server itself gets those of all owners"},
		{"F18", "3.2", "unknown resource: 404", holds, []string{"TestAttackProtection/A-22_resource_of_another_resource_server", "TestUMA2Registration/F18_what_is_not_there"}, "`not_found` with `profile: uma2`; otherwise [in Keycloak's words](choices/keycloak.md#not-found-in-keycloaks-words)"},
		{"F19", "3.2", "other methods: 405", holds, []string{"TestAttackProtection/A-36_other_methods", "TestUMA2Registration/F19_other_methods"}, "`unsupported_method_type`, with `Allow`"},
		{"F20", "3.2", "missing, invalid or repeated members: 400", holds, []string{"TestFederated/F20_a_member_twice", "TestAttackProtection/A-32_wrong_types_resource_set_no_name", "server/wire.TestParseJSONRefuses", "TestUMA2Registration/F20_what_is_given_twice_or_is_of_a_wrong_type"}, ""},
	}},
	{"Federated Authorization: tickets", []rule{
		{"F21", "4.1", "an object, or an array of them", holds, []string{"TestFederated/F21_an_object_or_an_array", "TestAttackProtection/A-32_wrong_types_permission_an_empty_array", "TestUMA2Permission/F21_an_object_or_an_array", "TestUMA2Permission/F21_neither"}, ""},
		{"F22", "4.1", "resources and scopes that this resource server registered", holds, []string{"TestAttackProtection/A-24_ticket_for_a_foreign_resource", "TestAttackProtection/A-27_scopes_are_compared_byte_by_byte", "TestUMA2Permission/F22_id_and_scopes_are_required", "TestUMA2Permission/F22_a_resource_is_known_by_its_id", "TestUMA2Permission/F22_scopes_are_those_of_the_resource"}, "on Keycloak's face also by name, and [scopes of its type](choices/protection.md#a-users-resource-may-be-asked-for-the-scopes-of-its-type)"},
		{"F23", "4", "one resource owner; scopes may be none", holds, []string{"TestFederated/F23_no_scopes_are_all", "TestFederated/F23_several_owners", "TestUMA2Permission/F23_one_owner_a_ticket", "TestUMA2Permission/F22_no_scopes_is_a_request_too"}, "one owner with `profile: uma2`; otherwise [several](choices/grant.md#several-owners-in-one-ticket) are taken"},
		{"F24", "4.2", "201 with one ticket", holds, []string{"TestFederated/F24_ticket", "TestUMA2Permission/F24_one_ticket_for_all"}, ""},
		{"F25", "4.3", "400 invalid_resource_id, invalid_scope", holds, []string{"TestFederated/F25_unknown_resources_and_scopes", "TestKeycloakAnswers/permission.unknown_scope", "TestUMA2Permission/F22_a_resource_is_known_by_its_id", "TestUMA2Permission/F22_scopes_are_those_of_the_resource"}, ""},
	}},
	{"Federated Authorization: introspection", []rule{
		{"F26", "5.1.1", "an active RPT has `permissions` and no `scope`", holds, []string{"TestAttackIntrospection/A-102_scope_does_not_leak", "TestFederated/F29_other_hints_show_the_token", "TestUMA2Introspection/F26_permissions_and_no_scope_whatever_the_hint"}, hinted},
		{"F27", "5.1.1", "`resource_id` and `resource_scopes`", holds, []string{"TestFederated/F27_introspected_permissions", "server/keycloak.TestIntrospectedPermissionHasFiveKeys", "TestUMA2Introspection/F27_F28_members_of_a_permission"}, ""},
		{"F28", "5.1.1", "which of the token's and the permission's times counts", holds, []string{"TestFederated/F27_introspected_permissions", "server/keycloak.TestIntrospectionOnTheWire", "TestUMA2Introspection/F27_F28_members_of_a_permission"}, "`exp` is the token's with `profile: uma2`; otherwise permissions have none of their own"},
		{"F29", "5.1", "the hint for an RPT is `access_token`", holds, []string{"TestFederated/F29_other_hints_show_the_token", "TestUMA2Introspection/F26_permissions_and_no_scope_whatever_the_hint"}, hinted},
		{"F30", "5", "other tokens may be introspected too", holds, []string{"TestFederated/F30_other_tokens_have_scope_and_no_permissions", "TestUMA2Introspection/F30_other_tokens_have_scope_and_no_permissions"}, ""},
		{"F31", "5", "a resource server may cache, or verify an RPT itself", holds, []string{"pep.TestIntrospectionCache", "pep.TestGrantedReachesHandler", "pep.TestForgedTokens"}, ""},
	}},
}
