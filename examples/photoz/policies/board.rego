# METADATA
# scope: package
# title: The public board
# description: Everyone with an account reads it, members write on it.
# schemas:
#   - input: schema["input-v1"]
package uma.policies.board

# METADATA
# labels: {team: photoz, rule: board-view}
grant contains "view" if {
	input.resource_server == "photoz-api"
	input.subject.type == "user"
}

# METADATA
# labels: {team: photoz, rule: board-post}
grant contains "post" if {
	input.resource_server == "photoz-api"
	"user" in input.subject.roles
}
