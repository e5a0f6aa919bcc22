package legacy

import (
	"errors"

	"example.com/umpire/server/wire"
)

func (f *Face) Authorize(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) Entitlements(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) Entitlement(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) RequestTicket(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) Configuration(x *wire.Exchange) error { return errors.ErrUnsupported }
