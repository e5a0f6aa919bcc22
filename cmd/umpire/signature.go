package main

import (
	"example.com/umpire/opaservice"
	"example.com/umpire/place"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// signatureFindings are those of the gate signature about the policies at a path, where the
// realm has keys. They block for the policies of the realm file itself, which a server would
// refuse. A folder that is named on the command line may not be signed yet.
func (e *env) signatureFindings(spec *uma.RealmSpec, path string, blocks bool) []rollout.Finding {
	if spec.Realm.Policy.OPA == nil || path == "" {
		return nil
	}
	if spec.OPA == nil {
		return []rollout.Finding{{Gate: rollout.GateSignature, Mistake: place.Mistake{
			File: path, Text: "the signature is not verified: policy.opa.keys has a secret, which this command does not read: `umpire realm check` does",
		}}}
	}
	config, err := opaservice.Parse(spec.OPA)
	if err != nil {
		return rollout.Findings(rollout.GateSignature, err)
	}
	findings := rollout.Signature(path, config.Verification(), e.now())
	for i := range findings {
		findings[i].Blocks = blocks
	}
	return findings
}
