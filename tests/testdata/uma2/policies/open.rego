package uma.policies.open

# everybody may look
grant contains "view" if "view" in input.scopes
