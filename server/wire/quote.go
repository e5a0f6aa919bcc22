package wire

import (
	"regexp"
	"strings"
)

const (
	maxTold   = 512  // bytes of what a client is told
	maxLogged = 2048 // bytes of what the log says of a refusal
	maxShown  = 8    // letters of what may be a secret
)

// secretLike matches JWTs, tickets and handles: more letters of base64url in a row than
// the id of a resource has.
var secretLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_.=-]+|[A-Za-z0-9_=-]{40,}`)

const secretLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_=-."

// LikeSecret reports whether s has what may be a JWT, also one that was cut off, a ticket
// or a handle.
func LikeSecret(s string) bool { return strings.Contains(s, "eyJ") || secretLike.MatchString(s) }

// withoutSecrets shortens the quotations in a refusal. Clients put tokens and tickets
// into wrong parameters, and answers end up in their logs and in ours. It is applied to
// the whole text, so that no code that quotes can forget it.
func withoutSecrets(s string, limit int) string {
	if long := 4 * limit; len(s) > long { // searching 64 KiB takes milliseconds
		s = strings.TrimRight(s[:long], secretLetters) + "..."
	}
	s = secretLike.ReplaceAllStringFunc(s, func(run string) string { return run[:maxShown] + "..." })
	if len(s) > limit {
		s = cut(s, limit) + "..."
	}
	return s
}

// Logged is the text in the log for the error of a request that was answered with a
// status. Errors of the server itself are not shortened.
func Logged(err error, status int) string {
	limit := maxLogged
	if status >= 500 {
		limit = len(err.Error())
	}
	return withoutSecrets(err.Error(), limit)
}
