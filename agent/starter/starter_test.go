package starter_test

import (
	"strings"
	"testing"

	"payagent/agent/config"
	"payagent/agent/starter"
	"payagent/install"
)

// FuzzMake: whatever is answered comes out of the configuration as it was
// answered; nothing in an answer can become a setting of its own.
func FuzzMake(f *testing.F) {
	f.Add("330100001", "示例医院", "https://pay.example/x", "token", "w01", "W01", "0123", "王收费")
	f.Add("1", "a\": b # c", "https://h/%22", "x y", "k", `\`, "'", `"}]`)
	f.Fuzz(func(t *testing.T, id, name, url, token, till, device, operator, person string) {
		a := starter.Answers{Profile: "kiosk", HospitalID: id, HospitalName: name, Platform: starter.Platform{Driver: "fwc", URL: url, Token: token},
			Tills: []starter.Till{{Name: till, DeviceNo: device, OperatorID: operator, OperatorName: person}}}
		profile, err := install.Profile("kiosk")
		if err != nil {
			t.Fatal(err)
		}
		m, err := starter.Make(profile, a, "/etc/payagent/secrets")
		if err != nil {
			return
		}
		c, err := config.Parse("x", []byte(m.Text))
		if err != nil {
			t.Fatalf("%v\n%s", err, m.Text)
		}
		got := c.Tills[0]
		if c.Site.HospitalID != id || c.Site.Name != name || c.Platforms[0].URL != url || len(c.Tills) != 1 || got.Name != till || got.DeviceNo != device || got.Operator.ID != operator || got.Operator.Name != person {
			t.Errorf("%+v became\n%s", a, m.Text)
		}
		if m.Secrets["/etc/payagent/secrets/platform.token"] != token+"\n" || len(token) > 12 && strings.Contains(m.Text, token) && !strings.Contains(url+name+id+device+operator+person, token) {
			t.Error("the token is not in its file, or in the text")
		}
	})
}

// TestProfiles: each profile takes the answers, also with the paths of Windows.
func TestProfiles(t *testing.T) {
	for _, name := range starter.Profiles() {
		profile, err := install.Profile(name)
		if err != nil {
			t.Fatal(err)
		}
		a := starter.Answers{Profile: name, HospitalID: "1", HospitalName: "x", Platform: starter.Platform{Driver: "fwc", URL: "https://h/x", Token: "t"}, DataDir: `D:\pay\data`,
			Tills: []starter.Till{{Name: "w", DeviceNo: "W", OperatorID: "1", OperatorName: "n", Scanner: &starter.Scanner{Driver: "serial", Path: "COM3"}}}}
		m, err := starter.Make(strings.ReplaceAll(profile, "\n", "\r\n"), a, `C:\ProgramData\payagent\secrets`)
		if err != nil {
			t.Fatal(name, err)
		}
		c, err := config.Parse("x", []byte(m.Text))
		if err != nil {
			t.Fatal(name, err, m.Text)
		}
		if c.DataDir != `D:\pay\data` || c.Merchants[0].TokenFile != `C:\ProgramData\payagent\secrets\platform.token` || c.Tills[0].Scanners[0].Name != "w-pad" {
			t.Errorf("%s: %+v", name, c.Merchants)
		}
		if name == "counter" && c.Log.File != `D:\pay\data\log\payagent.log` {
			t.Error(c.Log.File)
		}
		// Otherwise an outpatient, who has no admission number, cannot pay.
		if !strings.Contains(m.Text, `inhospital_fallback: "card_no"`) {
			t.Errorf("%s: no word on InhospitalNo:\n%s", name, m.Text)
		}
		for _, left := range []string{"fill in", ".invalid"} {
			if strings.Contains(m.Text, left) {
				t.Errorf("%s: %q is left", name, left)
			}
		}
	}
	if _, err := install.Profile("pos"); err == nil {
		t.Error("there is no such profile")
	}
}
