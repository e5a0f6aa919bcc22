package storetest

var approvingTests = map[string]func(e *env){}
