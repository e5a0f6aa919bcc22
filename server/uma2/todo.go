package uma2

import (
	"errors"

	"example.com/umpire/server/wire"
)

func (f *Face) CreateResource(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) ListResources(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) ReadResource(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) ReplaceResource(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) DeleteResource(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) RequestTicket(x *wire.Exchange) error { return errors.ErrUnsupported }
