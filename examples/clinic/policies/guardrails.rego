# METADATA
# scope: package
# title: What holds for every resource of the clinic
# schemas:
#   - input: schema["input-v1"]
package uma.guardrails

# A rule about who is not in a group is safe only because the server refuses tokens that do not tell their groups: the realm
# file does not say `groups: {optional: true}`.
# METADATA
# title: Contractors see nothing of patients
# labels: {team: security, rule: no-contractors}
deny contains "contractors have no access to patients' data" if "/clinic/contractors" in input.subject.groups
