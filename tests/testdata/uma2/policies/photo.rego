package uma.policies.photo

# the worked example of UMA Grant §3.3.4
grant contains "view" if input.resource.name == "photo1"
