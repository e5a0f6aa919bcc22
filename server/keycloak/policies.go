package keycloak

import (
	"errors"

	"example.com/umpire/server/wire"
)

func (f *Face) ListPolicies(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) CreatePolicy(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) ReadPolicy(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) ReplacePolicy(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) DeletePolicy(x *wire.Exchange) error { return errors.ErrUnsupported }
