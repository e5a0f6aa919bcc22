package pingam

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

func (f *Face) Configuration(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) ListPolicies(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) ReadPolicy(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) WritePolicy(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) DeletePolicy(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) ListRequests(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) ReadRequest(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) Answer(x *wire.Exchange) error { return errors.ErrUnsupported }

func (f *Face) AnswerAll(x *wire.Exchange) error { return errors.ErrUnsupported }
