package account

import (
	"errors"

	"example.com/umpire/server/wire"
)

func (f *Face) Resources(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) SharedWithMe(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) SharedWithOthers(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) PendingRequests(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) Resource(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) Permissions(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) Share(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) Requests(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) User(x *wire.Exchange) error { return errors.ErrUnsupported }
