package agent

import (
	"payagent/agent/config"
	"payagent/platforms"
)

// extendRules puts the configured rules in front of the built-in ones.
func extendRules(rules *platforms.CodeRules, c config.Codes) error {
	rules.PayUnknownDigits = c.SendUnknownDigits
	return nil
}
