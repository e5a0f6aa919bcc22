package uma

import (
	"context"
	"time"
)

// Leases says which server does the work that only one of the servers of a database may do at a
// time.
type Leases interface {
	// TakeLease makes a holder have the lease of that name for a length of time from now on, if
	// nobody has it, if it has ended, or if the holder has it already. Else it changes nothing and
	// returns false: whoever has lost its lease learns it at the next call. Leases end by the clock
	// of the database, for servers whose clocks differ. A length of 0 ends at once.
	TakeLease(ctx context.Context, name, holder string, length time.Duration) (held bool, err error)

	// ReleaseLease ends a lease that the holder has. A lease of another stays.
	ReleaseLease(ctx context.Context, name, holder string) error
}
