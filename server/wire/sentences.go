package wire

import (
	"strconv"
	"strings"

	"example.com/umpire/uma"
)

// Sentences say faults. {parameter}, {value}, {resource}, {scopes}, {client}, {user},
// {owner}, {name}, {setting} and {limit} stand for what the fault is about.
type Sentences map[uma.FaultKind]string

// Plain are this server's own words, for what a face has no others for.
var Plain = Sentences{
	uma.Missing: "{parameter} is missing",

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
}

// Say returns the sentence for a fault, and "" if there is none.
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
		"{limit}", strconv.Itoa(f.Limit),
	).Replace(sentence)
}

// list is how Keycloak prints a list, cut to what helps the client to find its
// mistake.
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
