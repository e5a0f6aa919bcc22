# METADATA
# scope: package
# title: Prescriptions
# schemas:
#   - input: schema["input-v1"]
package uma.policies.prescriptions

# METADATA
# title: Doctors prescribe
# labels: {team: pharmacy, rule: doctors-prescribe}
grant contains "prescribe" if {
	input.resource_server == "pharmacy-api"
	"/clinic/doctors" in input.subject.groups
}
