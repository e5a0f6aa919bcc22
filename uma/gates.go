package uma

// A GateAction says what happens to a policy in which a gate finds something.
type GateAction string

// The actions of gates.
const (
	GateBlocks GateAction = "block" // it is not activated
	GateWarns  GateAction = "warn"  // the findings are logged and kept
	GateOff    GateAction = "off"   // the gate does not run
)

// Gates are the `policy.gates` of a realm file: what the gates do that a realm may choose.
type Gates struct {
	Lint     GateAction `json:"lint"`
	Tests    GateAction `json:"tests"`
	Coverage GateAction `json:"coverage"`
	Impact   GateAction `json:"impact"`

	MinCoverage int `json:"min_coverage"` // per cent of the policies' lines that the tests should reach
	MaxGranted  int `json:"max_granted"`  // scopes of recorded decisions that may be newly granted
	MaxRefused  int `json:"max_refused"`  // and newly refused
}

// DefaultGates are those of a realm file that says nothing of them.
func DefaultGates() Gates {
	return Gates{Lint: GateBlocks, Tests: GateBlocks, Coverage: GateWarns, Impact: GateWarns, MinCoverage: 80}
}

// OrDefault returns the default for no gates at all: those of a realm that was stored before
// there were any.
func (g Gates) OrDefault() Gates {
	if g == (Gates{}) {
		return DefaultGates()
	}
	return g
}
