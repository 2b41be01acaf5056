package door

import "payagent/agent/words"

// platformWords are the words for a platform's own code (PAY-22), beside its
// own text. They explain; an order's state decides.
type platformWords struct {
	_       [0]func()  // never compared: no code is made for it
	Known   bool       `json:"known"` // false: not in the catalogue, the platform's own text is shown
	Patient words.Text `json:"patient"`
	Cashier words.Text `json:"cashier"`
	Action  words.Text `json:"action"`
	IT      words.Text `json:"it"`
}

// platformWords gives nothing where the platform gave no code.
func (d *door) platformWords(platform, code, message string) *platformWords {
	if code == "" {
		return nil
	}
	e, known := d.agent.PlatformWords(platform, code, message)
	return &platformWords{Known: known, Patient: e.Patient, Cashier: e.Cashier, Action: e.Next, IT: e.IT}
}
