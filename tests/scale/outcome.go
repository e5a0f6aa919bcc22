package main

import (
	"maps"
	"slices"
	"time"
)

// An outcome is what a design does at a rate, of all databases together unless it says otherwise.
type outcome struct {
	Design   string  `json:"design"`
	Asked    float64 `json:"asked_per_second"`
	Answered float64 `json:"answered_per_second"`
	Holds    bool    `json:"holds"` // it answers what is asked, in time, and its disks, replicas and sinks take what comes of it
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Ends     string  `json:"ends_with"` // the station with the highest load

	Loads     map[string]float64 `json:"loads"` // of each kind of station, the highest: 1 is all that it can do
	Batch     float64            `json:"records_per_commit"`
	Hits      float64            `json:"rows_in_server_memory"`
	Cold      float64            `json:"pages_not_in_database_memory"`
	Log       float64            `json:"log_bytes_per_second"`  // of the busiest database
	Disk      float64            `json:"disk_bytes_per_second"` // of the busiest database
	Rows      float64            `json:"row_bytes"`             // of the busiest database
	Day       float64            `json:"record_bytes_per_day"`  // of the busiest database
	Kept      float64            `json:"record_bytes_kept"`     // of the busiest database
	Undone    int                `json:"undelivered_records"`
	Remaining int                `json:"old_records_left"`
}

// costsOf returns the costs of a design with processors of a speed.
func (d *design) costsOf(speed float64) costs {
	if d.store == nil {
		return costs{decide: sidecar}.at(speed)
	}
	return d.store.at(speed)
}

// simulate runs a design at a rate.
func (d *design) simulate(w workload, c costs, rate float64, span time.Duration) outcome {
	if d.store == nil { // sidecars do not know of each other
		one := *d
		one.servers = 1
		r := newRun(&one, w, &c, 0, span)
		r.open(rate / float64(d.servers))
		r.run(span)
		return r.outcome(rate, 1/float64(d.servers))
	}
	part := d.busiest(w)
	r := newRun(d, w, &c, rate*part, span)
	r.open(rate * part)
	r.run(span)
	return r.outcome(rate, part)
}

// outcome is that of a run of a part of what is asked.
func (r *run) outcome(rate, part float64) outcome {
	seconds := r.span.Seconds()
	answered := float64(r.answered) / seconds
	o := outcome{
		Design: r.d.name, Asked: rate, Answered: answered / part, P50: ms(percentile(r.took, 50)), P99: ms(percentile(r.took, 99)),
		Hits: r.hitRows, Cold: r.cold, Loads: map[string]float64{},
	}
	if r.d.store != nil {
		o.Batch = float64(r.records) / float64(max(r.commits, 1))
		o.Log, o.Disk = written(r.c, r.w, answered, o.Batch)
		o.Log, o.Disk = o.Log*answered, o.Disk*answered
		o.Rows = r.w.rows(r.c)
		o.Day = answered * r.c.stored * 86400
		o.Kept = o.Day * r.w.keep
		if r.db != nil && r.upkeep.old.load() > 0.9 {
			o.Kept += 31 * o.Day // a month is removed at once, when all of it is old
		}
	}
	held := r.loads(&o, seconds)
	o.Ends = highest(o.Loads)
	if name := highest(held); o.Loads[o.Ends] < 0.85 && held[name] > 0.85 {
		o.Loads[name] = held[name]
		o.Ends = name // what each decision waits for, though more fits into a batch
	}
	o.Undone, o.Remaining = r.upkeep.undelivered.records, r.upkeep.old.records
	enough := answered * limitP99.Seconds()
	o.Holds = float64(r.came-r.answered) <= max(float64(r.came)/seconds*limitP99.Seconds(), 10) && o.P99 <= ms(limitP99) && o.Loads["disk writes"] <= 1 &&
		o.Loads["replay of a replica"] < 0.98 && float64(o.Undone) <= max(enough, sinkPage) && (r.db != nil || float64(o.Remaining) <= max(enough, pruneBatch))
	return o
}

// loads notes how much stations are used. A committer and a lock may be held all the time and still take more records: batches
// grow until they have all that they may have. So their loads are what the same records need in full batches, and for which part
// of the time they are held is returned.
func (r *run) loads(o *outcome, seconds float64) (held map[string]float64) {
	held = map[string]float64{}
	note := func(of map[string]float64, name string, load float64) { of[name] = max(of[name], load) }
	stations := []*station{}
	for _, sv := range r.servers {
		stations = append(stations, sv.cpu)
	}
	if r.d.store != nil {
		if r.db != nil {
			stations = append(stations, r.db)
		}
		for _, sv := range r.servers {
			stations = append(stations, sv.connections)
			for _, c := range sv.committers {
				note(held, c.under.name, c.under.load())
			}
		}
		for _, one := range r.replicas {
			stations = append(stations, one.db, one.disk, one.replay)
		}
		for i, lock := range r.numbers {
			note(o.Loads, lock.name, r.locked[i].Seconds()/seconds)
			if r.d.servers > 1 {
				note(held, "numbers of records, in turns", lock.load())
			}
		}
		stations = append(stations, r.disk)
		note(o.Loads, "disk writes", o.Disk/r.d.machines.writes)
		note(o.Loads, "256 records in a batch", o.Batch/mostEntries)
		note(o.Loads, "delivery", r.upkeep.undelivered.load())
		if r.db == nil && r.w.keep > 0 {
			note(o.Loads, "retention", r.upkeep.old.load())
		}
	}
	for _, st := range stations {
		note(o.Loads, st.name, st.load())
	}
	return held
}

// highest is the name of the highest load.
func highest(loads map[string]float64) (name string) {
	for _, one := range slices.Sorted(maps.Keys(loads)) {
		if name == "" || loads[one] > loads[name] {
			name = one
		}
	}
	return name
}

// most finds the highest rate that a design holds, to about three percent.
func (d *design) most(w workload, c costs, span time.Duration) outcome {
	from, to := 0.0, 100.0
	low := d.simulate(w, c, to, span)
	for o := low; o.Holds; o = d.simulate(w, c, to, span) {
		low, from, to = o, to, 2*to
	}
	for to-from > to/30 {
		middle := (from + to) / 2
		if o := d.simulate(w, c, middle, span); o.Holds {
			from, low = middle, o
		} else {
			to = middle
		}
	}
	return low
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
