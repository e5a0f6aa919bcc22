package uma.policies.adult

# whoever says, with a signed token or by a client that is trusted, what the e-mail address is
grant contains "view" if _said

need_info contains {"name": "email", "friendly_name": "e-mail", "claim_type": "string"} if not _said

_said if input.claims.verified.email

_said if input.claims.pushed.email
