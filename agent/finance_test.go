package agent_test

import (
	"testing"
	"time"
)

// A patient whose key was thrown away is empty, and that is no error: the books
// go on without the name (decision 14).
func TestForgottenPatient(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		o := r.paid(fwcTill)
		p, err := r.agent.Patient(o)
		if err != nil || p.Name.Empty() {
			t.Fatalf("%v; the rig names a patient", err)
		}
		if n, err := r.box.Forget(time.Now().Add(40*24*time.Hour), 35*24*time.Hour); err != nil || n == 0 {
			t.Fatalf("%d keys forgotten, %v", n, err)
		}
		if p, err = r.agent.Patient(o); err != nil || !p.Name.Empty() {
			t.Fatalf("after the key was thrown away: %v", err)
		}
		other := o.Clone()
		other.No = "MZ0"
		if _, err = r.agent.Patient(other); err != nil {
			t.Fatalf("forgotten is forgotten under any number: %v", err)
		}
	})
}
