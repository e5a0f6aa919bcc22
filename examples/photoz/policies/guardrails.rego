# METADATA
# scope: package
# title: What holds for every resource of the realm
# description: >-
#   Nothing is deleted by a slip of the finger. The claim comes from the client that asked the person; only a client
#   with a secret, or the resource server with the ticket, may push one. Whoever may not delete anyway is not asked.
# schemas:
#   - input: schema["input-v1"]
package uma.guardrails

# METADATA
# labels: {team: security, rule: confirm-delete}
need_info contains {
	"name": "delete_confirmed",
	"friendly_name": "Yes, delete it for good",
	"claim_type": "yes",
	"claim_token_format": ["urn:ietf:params:oauth:token-type:jwt"],
	"scopes": ["delete"],
} if {
	not confirmed
}

confirmed if input.claims.pushed.delete_confirmed == ["yes"]
