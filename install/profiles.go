package install

import (
	"embed"
	"fmt"
)

//go:embed scanbox/payagent.yaml kiosk/payagent.yaml counter/payagent.yaml
var profiles embed.FS

// Profile gives the configuration to begin with: scanbox, kiosk or counter.
func Profile(name string) (string, error) {
	data, err := profiles.ReadFile(name + "/payagent.yaml")
	if err != nil {
		return "", fmt.Errorf("cannot find the profile %q; write scanbox, kiosk or counter", name)
	}
	return string(data), nil
}
