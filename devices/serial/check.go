package serial

// Check says what cannot be in a configuration, without opening anything.
func (c Config) Check() error {
	if _, err := c.mode(); err != nil {
		return err
	}
	_, _, err := c.decoder()
	return err
}
