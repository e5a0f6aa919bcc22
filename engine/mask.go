package engine

import (
	"crypto/sha256"
	"encoding/hex"

	"example.com/umpire/uma"
)

// stub is the record of a decision that could not be masked: who decided what by
// which policy, and nothing that a mask could have taken out.
func (p *policy) stub(ev *uma.Event, input, result []byte, cause error) ([]byte, error) {
	e := event{
		Event: &uma.Event{
			ID: ev.ID, Batch: ev.Batch, Path: ev.Path, Labels: ev.Labels, Timestamp: ev.Timestamp,
			Input: &uma.Input{}, Eval: nil,
		},
		realm: p.realm, revision: p.hash, failed: "the record could not be masked",
		custom: map[string]any{"outcome": outcome(ev), "input_sha256": digest(input), "result_sha256": digest(result)},
	}
	return e.json(), cause
}

func outcome(ev *uma.Event) string {
	switch out := ev.Output; {
	case out == nil:
		return "error"
	case len(out.Granted) > 0:
		return "granted"
	case len(out.NeedInfo) > 0:
		return "need_info"
	case len(out.Submit) > 0:
		return "submitted"
	}
	return "denied"
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
