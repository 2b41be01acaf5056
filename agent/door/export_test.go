package door

import "payagent/agent"

// RefundRequest reads a body of POST …/refunds, for tests that ask the agent
// as the door would.
func RefundRequest(order string, body []byte) (agent.RefundRequest, error) {
	m, err := parseObject(body)
	if err != nil {
		return agent.RefundRequest{}, err
	}
	return refundRequest(order, m)
}
