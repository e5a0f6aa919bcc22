package wso2

import "example.com/umpire/uma"

// ShowIntrospection is the answer to introspection.
func ShowIntrospection(i *uma.Introspection) any { return nil }
