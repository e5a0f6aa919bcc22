# METADATA
# scope: package
# title: Results of the laboratory
# schemas:
#   - input: schema["input-v1"]
package uma.policies.lab_results

# METADATA
# title: Doctors and nurses read results
# labels: {team: laboratory, rule: staff-read}
grant contains "read" if {
	input.resource_server == "lab-api"
	some group in ["/clinic/doctors", "/clinic/nurses"]
	group in input.subject.groups
}
