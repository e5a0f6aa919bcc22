# METADATA
# scope: package
# title: Patients' files
# description: >-
#   The staff of a patient's ward read the file. A sealed file is for those among them who prove a licence. Groups and
#   department are those of the employer's token.
# schemas:
#   - input: schema["input-v1"]
package uma.policies.patient_file

# METADATA
# title: Doctors and nurses read the files of their ward
# labels: {team: clinic, rule: ward-reads}
grant contains "read" if treats

treats if {
	input.resource_server == "files-api"
	some group in ["/clinic/doctors", "/clinic/nurses"]
	group in input.subject.groups
	input.subject.attributes.department in input.resource.attributes.ward
}

# Whoever would not get the file with a licence either is not asked for one. The server adds which issuers may assert the
# claim, and in which formats.
# METADATA
# title: A sealed file wants a licence
# labels: {team: clinic, rule: sealed}
need_info contains {
	"name": "licence",
	"friendly_name": "A physician's licence, from the medical council",
	"scopes": ["read"],
} if {
	"yes" in input.resource.attributes.sealed
	treats
	not licensed
}

# Only what is proved about the party itself is in `verified`: not somebody else's licence, and not one that an app says
# somebody has.
licensed if input.claims.verified.licence == "physician"
