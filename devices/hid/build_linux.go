package hid

// built names the backends of this build, the default first.
func built() []named { return append([]named{{BackendHidraw, newHidraw}}, karalabeBuilt()...) }
