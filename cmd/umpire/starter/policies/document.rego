# METADATA
# scope: package
# title: Documents
# description: >-
#   Rules for resources of the type document. The shipped library already lets owners use and share their resources.
# schemas:
#   - input: schema["input-v1"]
package uma.policies.document

# METADATA
# title: Members read what belongs to the resource server
# labels: {team: example, rule: members-view}
grant contains "view" if {
	input.resource_server == "api"
	not input.resource.owner_managed
	"member" in input.subject.roles
}

# METADATA
# title: Nobody writes without an account
# labels: {team: example, rule: users-edit}
deny contains {"scope": "edit", "reason": "only users edit documents"} if input.subject.type != "user"
