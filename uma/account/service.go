package account

import (
	"time"

	"example.com/umpire/uma"
)

// A Service is the account API: owners list and share their resources, and answer requests.
type Service struct {
	Store Store
	Now   func() time.Time
	NewID func() string
}

// A Store is where owners' resources are read, and shares and answers kept.
type Store interface {
	uma.Viewer
	uma.Sharing
}
