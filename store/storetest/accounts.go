package storetest

var accountTests = map[string]func(e *env){}
