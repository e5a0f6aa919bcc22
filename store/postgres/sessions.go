package postgres

import "example.com/umpire/uma"

// endUserSessions is the command that ends every session of a user.
func endUserSessions(realm uma.Key, user string) command {
	return command{query: `UPDATE session SET ended = true WHERE realm = $1 AND user_id = $2 AND NOT ended`, args: []any{realm, user}}
}

// endClientSessions is the command that ends every session through a client.
func endClientSessions(realm uma.Key, client string) command {
	return command{query: `UPDATE session SET ended = true WHERE realm = $1 AND client = $2 AND NOT ended`, args: []any{realm, client}}
}
