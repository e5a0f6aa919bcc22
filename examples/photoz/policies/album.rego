# METADATA
# scope: package
# title: Albums
# description: >-
#   What holds for an album besides its owner's access and what she shares, both of which the library grants
#   (data.uma.sharing). A denial here overrides them.
# schemas:
#   - input: schema["input-v1"]
package uma.policies.album

import data.uma.sharing

# Whoever registers a resource names its type: this is about the albums of photoz, not of another resource server.
# METADATA
# title: Friends view the albums that are for friends
# labels: {team: photoz, rule: friends-view}
grant contains "view" if {
	input.resource_server == "photoz-api"
	"friends" in input.resource.attributes.visibility
	"/friends" in input.subject.groups
}

# An owner may share `delete`, or say yes to a request for it, without a thought of what it means.
# METADATA
# title: A share never lets anyone delete
# labels: {team: photoz, rule: owner-deletes}
deny contains {"scope": "delete", "reason": "only its owner deletes an album"} if not sharing.is_owner
