package agent

// Done is closed when the agent has ended: nothing will change any more, so
// that whoever waits for [Agent.Changed] can stop waiting.
func (a *Agent) Done() <-chan struct{} { return a.over }

// Stopped tells whether the agent has ended.
func (a *Agent) Stopped() bool {
	select {
	case <-a.over:
		return true
	default:
		return false
	}
}
