package account

import (
	"time"

	"example.com/umpire/uma"
)

// A Service is the account API: what owners share, and how they answer requests.
type Service struct {
	Store Store
	Now   func() time.Time
	NewID func() string
}

// A Store is what is read of owners' resources, and keeps what they share.
type Store interface {
	uma.Viewer
	uma.Sharing
}
