package tests

import (
	"syscall"
	"testing"
)

// TestKillOneOfTwo: of two servers of one database one is killed in the middle of sixteen writers, twenty
// times, while sixteen others are at work at the other one. That goes on without a failure, and has all that the
// one that was killed had answered; nothing was done twice.
func TestKillOneOfTwo(t *testing.T) {
	t.Parallel()
	databases.OnlyPostgreSQL(t, "several server processes")
	o := newOptions(t, nil)
	files := o.write(t)
	start := func() *process { return spawn(t, o, files, "--failed-tickets", "-1") }
	servers := []*process{start(), start()}
	told := newAnswered()
	for round := range rounds(20) {
		told.reset()
		killed, other := servers[round%2], servers[1-round%2]
		others := startWriters(t, other.env, told)
		writeUntilDeath(t, killed, told, 50)
		if !others.waitFor(30) {
			t.Error("the other server does not go on")
		}
		others.stop()
		told.check(t, other.env)
		if t.Failed() {
			t.FailNow()
		}
		servers[round%2] = start()
	}
	told.checkAll(t, servers[0])
	for _, p := range servers {
		if state := p.end(t, syscall.SIGTERM); !state.Success() {
			t.Errorf("stopped by SIGTERM: %s", state)
		}
	}
}
