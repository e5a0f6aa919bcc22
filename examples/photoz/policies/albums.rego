# METADATA
# scope: package
# title: The collection of albums
# description: A member may add an album. It is registered as the member's own, see photoz.go.
# schemas:
#   - input: schema["input-v1"]
package uma.policies.albums

# METADATA
# labels: {team: photoz, rule: members-create}
grant contains "create" if {
	input.resource_server == "photoz-api"
	"user" in input.subject.roles
}
