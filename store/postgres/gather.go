package postgres

import "time"

// longestWait bounds how long a batch waits for more entries.
const longestWait = 5 * time.Millisecond

// A gathering has a batch wait while others commit: another server, or transactions of this one beside the
// settler. All wait for each other in the database, for the row that numbers their records: a batch that waits
// there cannot become fuller, and one that is half as full costs as much. So if others have committed since the
// last batch, the next waits for as many entries as that had, but not longer than a commit takes.
type gathering struct {
	size int           // entries of the last batch; 0: nobody else commits
	took time.Duration // by a commit, as a rule
	last int64         // number of the last batch's last record
}

// committed notes a commit of a batch, and whether records of others came between it and the last.
func (g *gathering) committed(batch []*entry, took time.Duration) {
	g.took += (took - g.took) / 8
	records := 0
	end := int64(0)
	for _, e := range batch {
		records += len(e.Records)
		for _, r := range e.Records {
			end = r.Seq
		}
	}
	if records == 0 || end == 0 { // it is not known which numbers they have: see settlements.committed
		return
	}
	others := end-int64(records) != g.last
	g.last = end
	if g.size = 0; others && len(batch) > 1 {
		g.size = len(batch)
	}
}

// end returns what is sent to when a batch is to wait no longer; nil: it does not wait.
func (g *gathering) end(queued int) <-chan time.Time {
	if queued >= g.size {
		return nil
	}
	return time.After(min(g.took, longestWait))
}
