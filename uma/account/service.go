package account

import (
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// A Service is the account API: what owners share, and how they answer requests.
type Service struct {
	Store Store
	Party *party.Service // who calls
	Now   func() time.Time
	NewID func() string
}

// A Store is what is read of owners' resources, and keeps what they share.
type Store interface {
	uma.Viewer
	uma.Sharing
}
