package child

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// watchMemory ends the process when it has more memory than a limit. That is how a limit of
// memory works where the system has none, and says which one it was.
func watchMemory(limit int64) {
	debug.SetMemoryLimit(limit / 10 * 9) // the garbage collector does more before the limit
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	for range time.Tick(5 * time.Millisecond) {
		metrics.Read(samples)
		if samples[0].Value.Uint64()-samples[1].Value.Uint64() > uint64(limit) {
			os.Exit(exitMemory)
		}
	}
}
