//go:build lab

package service

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	conf   = "/etc/payagent/payagent.yaml"
	agent  = "/usr/local/bin/payagent"
	config = `site: {hospital_id: "H0001", name: lab, test: true}
data_dir: /var/lib/payagent
booking: {expect: false}
platforms:
  - {name: fwc, driver: fwc, url: "%s", allow_plain_http: true}
merchants:
  - {profile: lab, platform: fwc, token_file: /etc/payagent/fwc.token}
routes: [{merchant: lab}]
tills:
  - {name: w1, kind: counter, device_no: "W1", operator: {id: "1", name: Wang}}
`
)

// What is done in the machine to have the service: what a person would do.
const (
	unload  = "mount -o ro /dev/vdb /mnt; mkdir -p /etc/payagent; cp /mnt/payagent.yaml /mnt/fwc.token /etc/payagent; cp /mnt/payagent /root/payagent"
	secret  = "chown payagent: /etc/payagent/fwc.token && chmod 600 /etc/payagent/fwc.token"
	install = "/root/payagent service install && " + secret
)

// rig is the machine, the bank outside, and the table.
type rig struct {
	*machine
	world string
	rows  []string
	bill  int
}

// bank starts paysim on this machine and gives the address of its platform as
// the machine under QEMU sees it, and the file with the platform's token.
func (r *rig) bank() (url, token string) {
	cmd := exec.Command(filepath.Join(r.dir, "paysim"), "serve", "-listen", "127.0.0.1:0", "-platforms", "127.0.0.1:0", "-data", r.tmp, "-his", "none")
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "truth") {
	}
	go func() {
		for lines.Scan() { // keep the pipe empty
		}
	}()
	data, err := os.ReadFile(filepath.Join(r.tmp, "paysim.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	var at struct {
		Pages     string            `json:"pages"`
		Platforms map[string]string `json:"platforms"`
		Token     string            `json:"fwc_token_file"`
	}
	if err := json.Unmarshal(data, &at); err != nil {
		r.t.Fatal(err)
	}
	r.world = at.Pages
	return strings.Replace(at.Platforms["fwc"], "127.0.0.1", "10.0.2.2", 1), at.Token
}

func (r *rig) row(what, seen string) {
	seen = strings.ReplaceAll(strings.TrimSpace(seen), "\n", "; ")
	r.t.Logf("%s: %s", what, seen)
	r.rows = append(r.rows, fmt.Sprintf("| %s | %s |", what, seen))
}

// charge begins a payment whose payer behaves as the instruction of his code
// says (platforms/bank), and waits until the bank has been asked.
func (r *rig) charge(instruction int) (bill string) {
	r.t.Helper()
	r.bill++
	bill = fmt.Sprintf("B%03d", r.bill)
	before := len(r.ledger())
	r.run(fmt.Sprintf("CODE=13990099%08d%02d setsid %s pay --config %s --bill %s --amount 12.34 --order-type TREATMENT --till w1 --operator 1 --patient-name Test --card-no 1 --admission-no 1 --subject lab --auth-code env:CODE --json >/run/%s.json 2>&1 </dev/null &",
		r.bill, instruction, agent, conf, bill, bill)) // each code pays once
	for end := time.Now().Add(2 * time.Minute); len(r.ledger()) == before; <-time.After(100 * time.Millisecond) {
		if time.Now().After(end) {
			out, _ := r.try("cat /run/" + bill + ".json; journalctl -u payagent -n 20 --no-pager")
			r.t.Fatalf("the bank was not asked\n%s", out)
		}
	}
	return bill
}

type trade struct {
	No       string `json:"order_no"`
	Net      int64  `json:"net_fen"`
	Captures int    `json:"captures"`
	Requests int    `json:"pay_requests"`
}

// ledger is the bank's truth.
func (r *rig) ledger() []trade {
	r.t.Helper()
	resp, err := http.Get(r.world + "/ledger")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var truth struct{ Orders []trade }
	if err := json.NewDecoder(resp.Body).Decode(&truth); err != nil {
		r.t.Fatal(err)
	}
	return truth.Orders
}

// ends waits for the end of a payment and compares it with the bank's truth:
// asked at most once, and the payer is out of pocket exactly if it is paid.
func (r *rig) ends(bill string) string {
	r.t.Helper()
	var got struct {
		Outcome string
		Order   struct {
			No string `json:"out_trade_no"`
		}
	}
	for end := time.Now().Add(5 * time.Minute); ; <-time.After(time.Second) {
		out, code := r.try(agent + " query --config " + conf + " --bill " + bill + " --wait 10 --json")
		if code == 0 || code == 1 {
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				r.t.Fatalf("%v: %s", err, out)
			}
			break
		}
		if time.Now().After(end) {
			r.t.Fatalf("bill %s has no end: %d %s", bill, code, out)
		}
	}
	for _, x := range r.ledger() {
		if x.No != got.Order.No {
			continue
		}
		paid := got.Outcome == "paid"
		if x.Requests > 1 || x.Captures > 1 || paid && x.Net != 1234 || !paid && x.Net != 0 {
			r.t.Fatalf("bill %s: the agent says %s, the bank %+v", bill, got.Outcome, x)
		}
		return fmt.Sprintf("%s; the bank was asked once, the payer is out of %d.%02d", got.Outcome, x.Net/100, x.Net%100)
	}
	r.t.Fatalf("bill %s: the bank knows nothing of order %s", bill, got.Order.No)
	return ""
}

func (r *rig) show(property string) string {
	r.t.Helper()
	return r.run("systemctl show payagent -p " + property + " --value")
}

// ready waits for readiness; without a network the platform is out of reach,
// and the agent serves all the same.
func (r *rig) ready(network bool) {
	r.t.Helper()
	want := "ready"
	if !network {
		want = "open orders"
	}
	r.until("systemctl show payagent -p ActiveState -p StatusText", "ActiveState=active")
	r.until("systemctl show payagent -p StatusText --value", want)
}

// newRig makes the machine with the programs on its second disk, and switches it
// on. What was seen is written at the end, whatever the end is.
func newRig(t *testing.T, more string) (*rig, time.Duration) {
	r := &rig{machine: newMachine(t)}
	t.Cleanup(func() {
		if err := os.WriteFile(filepath.Join(r.dir, t.Name()+".md"), []byte(strings.Join(r.rows, "\n")+"\n"), 0o644); err != nil {
			t.Error(err)
		}
	})
	url, from := r.bank()
	folder := t.TempDir()
	for name, from := range map[string]string{"payagent": "0.0.1/payagent", "payagent2": "0.0.2/payagent", "1.deb": "0.0.1/payagent.deb", "2.deb": "0.0.2/payagent.deb"} {
		data, err := os.ReadFile(filepath.Join(r.dir, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), data, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	token, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"payagent.yaml": fmt.Sprintf(config, url) + more, "fwc.token": string(token), "answers.json": answers(r.t, url, string(token))} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r.cargo(folder)
	return r, r.powerOn(true)
}

// answers are those to the questions of payagent init.
func answers(t *testing.T, url, token string) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{"profile": "kiosk", "hospital_id": "H0001", "hospital_name": "lab", "test": true,
		"platform": map[string]any{"driver": "fwc", "url": url, "token": strings.TrimSpace(token), "allow_plain_http": true},
		"tills":    []map[string]string{{"name": "k01", "device_no": "K01", "operator_id": "9001", "operator_name": "K"}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestService(t *testing.T) {
	r, took := newRig(t, "")
	r.row("power on", fmt.Sprintf("root shell after %.0f s (emulated)", took.Seconds()))

	r.run(unload)
	r.row("`service status` before", "exit code 4: "+last(r.codes("/root/payagent service status", 4)))
	r.run(install)
	r.row("`service install`", "user "+r.run("id payagent"))
	r.codes(agent+" service status", 3)
	r.run(agent + " service start")
	r.ready(true)
	r.row("`service start`", "`"+strings.ReplaceAll(r.run(agent+" service status"), "\n", "`; `")+"`")
	r.row("`systemd-analyze security`", score(r))
	r.row("needrestart", r.run(`perl -e 'our %nrconf; do "/etc/needrestart/needrestart.conf"; for my $k (keys %{$nrconf{override_rc}}) { print "payagent.service: ", $nrconf{override_rc}{$k} ? "restarts" : "left alone" if "payagent.service" =~ /$k/ }'`))

	bill := r.charge(0)
	r.row("a payment", r.ends(bill))
	r.row("`payagent doctor`", r.doctor(agent))
	r.row("`payagent doctor` as the service's user", r.doctor("setpriv --reuid payagent --regid payagent --init-groups "+agent))

	bill = r.charge(90)
	lock := r.until("systemd-inhibit --list --no-pager --no-legend", "payagent")
	r.row("a payment under way", "lock: "+strings.Join(strings.Fields(line(lock, "payagent")), " "))
	r.control("system_powerdown")
	r.until("journalctl -b --no-pager -u systemd-logind", "ower key pressed")
	r.row("the power button, pressed meanwhile", r.ends(bill)+"; the machine stayed up")
	r.until("systemd-inhibit --list --no-pager --no-legend | grep -c payagent", "0")

	bill = r.charge(90)
	r.run("systemctl kill -s KILL payagent")
	r.ready(true)
	r.row("kill -9 in the middle of a payment", r.ends(bill)+"; NRestarts="+r.show("NRestarts"))

	bill = r.charge(90)
	pid := r.show("MainPID")
	r.run("kill -STOP " + pid)
	r.until("journalctl -u payagent --no-pager -b", "Watchdog timeout")
	r.until("systemctl show payagent -p MainPID --value | grep -vx -e "+pid+" -e 0 && echo anew", "anew")
	r.ready(true)
	dump := r.run("journalctl -u payagent -b --no-pager | grep -c '^.*goroutine [0-9]' || true")
	r.row("hung (SIGSTOP) in the middle of a payment", r.ends(bill)+"; the watchdog ended it, "+dump+" goroutines in the journal")

	r.run("echo 'nonsense: 1' >>" + conf + " && systemctl reload payagent")
	r.until("systemctl show payagent -p StatusText --value", "mistake")
	pid = r.show("MainPID")
	r.run("sed -i /nonsense/d " + conf + " && systemctl reload payagent")
	r.until("systemctl show payagent -p MainPID --value | grep -vx -e "+pid+" -e 0 && echo anew", "anew")
	r.ready(true)
	r.row("`systemctl reload`", "a mistake in the file: the old one stays and the status says so; mended: taken up")

	bill = r.charge(90)
	r.run("install -m 755 /mnt/payagent2 " + agent + ".new && mv " + agent + ".new " + agent + " && systemctl restart payagent")
	r.ready(true)
	r.row("the program exchanged and restarted in the middle of a payment", r.ends(bill)+"; now "+r.run(agent+" version"))

	bill = r.charge(90)
	r.cutPower()
	r.powerOn(true)
	r.ready(true)
	r.row("power cut in the middle of a payment, power on", r.ends(bill))

	r.run(agent + " service stop")
	r.codes(agent+" service status", 3)
	r.run(agent + " service uninstall")
	r.codes(agent+" service status", 4)
	r.row("`service uninstall`", "orders stay: "+strings.Join(strings.Fields(r.run("ls /var/lib/payagent/store")), " "))
	r.row("`payagent doctor` after it", r.doctor(agent))

	// Once more, from where the first installation put the program.
	r.run(agent + " service install")
	r.run(agent + " service start")
	r.ready(true)
	r.row("installed again: the order of before the power cut", r.ends(bill))
	r.row("a payment then", r.ends(r.charge(0)))
}

// TestPackage: the package is installed, upgraded in the middle of a payment and
// removed; the order ends right and stays.
func TestPackage(t *testing.T) {
	r, _ := newRig(t, "")
	r.run("mount -o ro /dev/vdb /mnt")
	r.row("`dpkg -i payagent.deb`", "`"+last(r.run("dpkg -i /mnt/1.deb"))+"`")
	r.run("ln -s /usr/bin/payagent /usr/local/bin/payagent")

	// What payagent init makes of five answers works as it is.
	r.run("payagent init --config " + conf + " --answers /mnt/answers.json && systemctl enable --now payagent")
	r.ready(true)
	r.row("`payagent init`, and `payagent doctor` of what it made", r.doctor("payagent"))
	r.run("payagent service stop")

	r.run("cp /mnt/payagent.yaml " + conf + "; cp /mnt/fwc.token /etc/payagent; " + secret + " && payagent service start")
	r.ready(true)
	r.row("its service", "`"+strings.ReplaceAll(r.run("payagent service status"), "\n", "`; `")+"`")
	r.row("its `systemd-analyze security`", score(r))
	r.row("a payment", r.ends(r.charge(0)))
	r.row("`payagent doctor`", r.doctor("payagent"))
	bill := r.charge(90)
	pid := r.show("MainPID")
	r.run("dpkg -i /mnt/2.deb")
	seen := r.ends(bill)
	r.until("systemctl show payagent -p MainPID --value | grep -vx -e "+pid+" -e 0 && echo anew", "anew")
	r.ready(true)
	if out := r.run("journalctl -u payagent --no-pager | grep 'starting anew'"); !strings.Contains(out, "reload") {
		t.Error("the upgrade was not asked for as a reload, which waits for the payment:", out)
	}
	r.row("the package upgraded in the middle of a payment", seen+"; then the new program came by a reload: "+r.run("payagent version; systemctl show payagent -p StatusText --value | tr '\n' ' '"))
	r.row("a payment after it", r.ends(r.charge(0)))
	r.run("dpkg -r payagent")
	r.row("the package removed", "orders stay: "+strings.Join(strings.Fields(r.run("ls /var/lib/payagent/store")), " "))
	r.run("dpkg -P payagent")
	r.row("the package purged", "orders stay: "+strings.Join(strings.Fields(r.run("ls /var/lib/payagent/store")), " "))
}

// doctor runs payagent doctor, which may find nothing failed but the checks that
// are named, and must find each of those.
func (r *rig) doctor(program string, failed ...string) string {
	r.t.Helper()
	out, code := r.try(program + " doctor --config " + conf + " --json")
	var got struct {
		Findings []struct {
			ID, About, Level string
			Found            struct{ EN string }
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		r.t.Fatalf("exit code %d: %v\n%s", code, err, out)
	}
	ids := map[string][]string{}
	for _, f := range got.Findings {
		if !slices.Contains(ids[f.Level], f.ID) {
			ids[f.Level] = append(ids[f.Level], f.ID)
		}
		if f.Level == "fail" && !slices.Contains(failed, f.ID) {
			r.t.Errorf("doctor: %s %s: %s", f.ID, f.About, f.Found.EN)
		}
	}
	want := 0
	switch {
	case len(ids["fail"]) > 0:
		want = 2
	case len(ids["warn"]) > 0:
		want = 1
	}
	if code != want || len(ids["fail"]) != len(failed) || len(ids["ok"]) < 15 {
		r.t.Errorf("doctor: exit code %d, want %d; failed %v, want %v; ok %v", code, want, ids["fail"], failed, ids["ok"])
	}
	seen := fmt.Sprintf("exit code %d: %d checks well", code, len(ids["ok"]))
	for _, level := range []string{"warn", "fail", "skipped"} {
		if len(ids[level]) > 0 {
			seen += fmt.Sprintf("; %s: %s", level, strings.Join(ids[level], " "))
		}
	}
	return seen
}

// score is systemd's judgement; it must be 2.0 at most.
func score(r *rig) string {
	r.t.Helper()
	got := regexp.MustCompile(`exposure level for payagent.service: ([0-9.]+)`).FindStringSubmatch(r.run("systemd-analyze security --no-pager payagent.service"))
	if got == nil || got[1] > "2.0" {
		r.t.Fatal("exposure", got)
	}
	return got[1]
}

// TestOffline: the machine is switched on without a network, a name server or
// anybody who knows the time. The agent serves, and the order that the power cut
// had interrupted ends right once the network is back.
func TestOffline(t *testing.T) {
	r, _ := newRig(t, "")
	r.run(unload)
	r.run(install)
	r.run(agent + " service start")
	r.ready(true)
	bill := r.charge(90)
	r.cutPower()
	r.powerOn(false)
	r.ready(false)
	at := r.run("systemctl show payagent -p ActiveEnterTimestampMonotonic --value | awk '{print $1/1e6}'; cat /proc/uptime")
	r.row("power cut in the middle of a payment, power on without a network, clock or name server", fmt.Sprintf("ready %s s after the kernel's start; addresses: %s; status: %s", strings.Fields(at)[0],
		strings.Join(strings.Fields(r.run("ip -o -4 addr | awk '{print $4}'")), " "), r.show("StatusText")))
	r.row("`payagent doctor` without a network", r.doctor(agent, "process.ready", "net.link", "net.tcp"))
	r.cutPower()
	r.powerOn(true)
	r.ready(true)
	r.row("the network is back, the order of before", r.ends(bill))
}

// TestCredentials: the platform's token lies closed by systemd alone; one that was
// exchanged counts after a reload, without a restart by hand.
func TestCredentials(t *testing.T) {
	r, _ := newRig(t, "")
	r.run(unload)
	r.run(install)
	// As docs/operations.md says; the platform takes this token no more.
	closed := " | systemd-creds encrypt --name=fwc.token - /etc/payagent/fwc.token.cred"
	r.run("rm /etc/payagent/fwc.token && echo an-ended-token" + closed + ` && mkdir -p /etc/systemd/system/payagent.service.d &&
		printf '[Service]\nLoadCredentialEncrypted=fwc.token:/etc/payagent/fwc.token.cred\n' >/etc/systemd/system/payagent.service.d/token.conf &&
		sed -i 's#/etc/payagent/fwc.token#"credential:fwc.token"#' ` + conf + " && systemctl daemon-reload")
	r.run(agent + " service start")
	r.until("systemctl show payagent -p ActiveState", "ActiveState=active")
	seen := func() string { return r.run("cat /run/credentials/payagent.service/fwc.token") }
	if got := seen(); got != "an-ended-token" {
		t.Fatal("the service has another token:", got)
	}
	pid := r.show("MainPID")
	r.run("cat /mnt/fwc.token" + closed)
	if seen() != "an-ended-token" {
		t.Error("systemd opens a credential before the service starts anew; docs/operations.md says otherwise")
	}
	r.run("systemctl reload payagent")
	r.until("systemctl show payagent -p MainPID --value | grep -vx -e "+pid+" -e 0 && echo anew", "anew")
	r.ready(true)
	if seen() == "an-ended-token" {
		t.Error("the new token is not there after the reload")
	}
	r.row("the platform's token as a systemd credential, exchanged, `systemctl reload`", "a payment with the new one: "+r.ends(r.charge(0)))
}

// Scanners at two tills more, by what the models say of them.
const scanners = `  - {name: w2, kind: counter, device_no: "W2", operator: {id: "1", name: Wang}, scanners: [{name: pos, driver: hid, options: {id: "0c2e:0b61"}}]}
  - {name: w3, kind: counter, device_no: "W3", operator: {id: "1", name: Wang}, scanners: [{name: line, driver: serial, options: {id: "1eab:0d06"}}]}
`

// posDescriptor is that of a Honeywell POS scanner, see install/lab.
const posDescriptor = `05 8c 09 02 a1 01 09 12 a1 02 85 02 15 00 26 ff 00 75 08 95 01 05 01 09 3b 81 02
	95 03 05 8c 09 fb 09 fc 09 fd 81 02 95 38 09 fe 82 02 01 95 02 06 66 ff 09 04 09 00
	81 02 05 8c 25 01 75 01 95 08 09 ff 81 02 c0 09 14 a1 02 85 04 15 00 25 01 75 01 95
	08 09 00 09 5f 09 60 09 00 09 00 09 85 09 86 91 86 c0 06 66 ff 75 08 26 ff 00 09 01
	a1 02 85 fd 95 01 09 21 91 02 95 3e 09 22 92 82 01 c0 c0`

// TestDevices: scanners that are plugged in after the service was started are
// given to it by the rules, and the unit lets it open them.
func TestDevices(t *testing.T) {
	r, _ := newRig(t, scanners)
	r.run(unload)
	r.run(install)
	r.run(agent + " service start")
	r.ready(true)
	hex := "\\x" + strings.Join(strings.Fields(posDescriptor), "\\x")
	r.run(`mount -t configfs configfs /sys/kernel/config 2>/dev/null; modprobe dummy_hcd num=2 is_high_speed=1 && modprobe -a libcomposite usb_f_hid usb_f_acm
gadget() { g=/sys/kernel/config/usb_gadget/$1; mkdir -p $g/strings/0x409 $g/configs/c.1 $g/functions/$4; echo $2 >$g/idVendor; echo $3 >$g/idProduct; echo 0x0200 >$g/bcdUSB
  echo lab >$g/strings/0x409/manufacturer; echo $1 >$g/strings/0x409/product; }
gadget pos 0x0c2e 0x0b61 hid.pos; f=$g/functions/hid.pos; echo 0 >$f/subclass; echo 0 >$f/protocol; echo 65 >$f/report_length; printf '` + hex + `' >$f/report_desc
ln -s $f $g/configs/c.1/; echo dummy_udc.0 >$g/UDC
gadget line 0x1eab 0x0d06 acm.line; ln -s $g/functions/acm.line $g/configs/c.1/; echo dummy_udc.1 >$g/UDC`)
	r.until("ls /dev/payagent", "hidraw")
	r.until("ls /dev/payagent", "tty-")
	r.row("rules: names of scanners", "`"+strings.Join(strings.Fields(r.run("cd /dev/payagent && ls")), " ")+"`")
	r.row("rules: who may open them", "`"+strings.ReplaceAll(r.run(`stat -L -c '%U:%G %a' /dev/payagent/*`), "\n", "`, `")+"`")
	for _, name := range []string{"pos", "line"} {
		r.until("journalctl -u payagent --no-pager | grep present", `"device":"`+name+`","present":true`)
	}
	r.row("scanners plugged in after the start", "both are open in the hardened service")
	r.row("`payagent doctor`", r.doctor(agent))
	r.row("no autosuspend", "power/control of both: "+strings.Join(strings.Fields(r.run("for d in /sys/bus/usb/devices/*-1; do cat $d/power/control; done")), " "))
	r.row("left alone by ModemManager", r.run(`udevadm info -q property $(readlink -f /dev/payagent/tty-*) | grep ID_MM_DEVICE_IGNORE`))
}

// codes runs a command that must end with a code.
func (r *rig) codes(command string, want int) string {
	r.t.Helper()
	out, code := r.try(command)
	if code != want {
		r.t.Fatalf("%s: exit code %d, want %d\n%s", command, code, want, out)
	}
	return out
}

func last(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

func line(text, with string) string {
	for l := range strings.Lines(text) {
		if strings.Contains(l, with) {
			return l
		}
	}
	return ""
}
