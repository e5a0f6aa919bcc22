package uma.policies.closed

# nobody, and the owner is not asked
deny contains "closed"
