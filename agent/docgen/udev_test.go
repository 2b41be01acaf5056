package docgen

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"payagent/devices/models"
)

// term is one part of a udev rule: a key, perhaps with an attribute, an
// operator, a value in quotes (udev(7)).
var term = regexp.MustCompile(`^(ACTION|SUBSYSTEM|KERNEL|ENV\{[A-Z_]+\}|ATTRS?\{[a-zA-Z/]+\}|TEST|GROUP|MODE|SYMLINK|GOTO|LABEL)(==|\+=|=)"([^"\\]+)"$`)

// checkRules says what is wrong with the form of a rules file: what udevadm
// verify looks for, and two mistakes that udev forgives silently.
func checkRules(text string) []string {
	var bad []string
	labels, gotos := map[string]int{}, map[string]int{}
	seen := map[string]int{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if first := seen[line]; first > 0 {
			bad = append(bad, fmt.Sprintf("line %d repeats line %d", i+1, first))
		}
		seen[line] = i + 1
		matches, sets := 0, 0
		for _, part := range strings.Split(line, ", ") {
			m := term.FindStringSubmatch(part)
			if m == nil {
				bad = append(bad, fmt.Sprintf("line %d: %q is no term", i+1, part))
				continue
			}
			key, op, value := m[1], m[2], m[3]
			match := slices.Contains([]string{"ACTION", "SUBSYSTEM", "KERNEL", "TEST"}, key) || strings.HasPrefix(key, "ATTRS{")
			set := slices.Contains([]string{"GROUP", "MODE", "SYMLINK", "GOTO", "LABEL"}, key)
			if match && op != "==" || set && op == "==" {
				bad = append(bad, fmt.Sprintf("line %d: %s cannot have %s", i+1, key, op))
			}
			if op == "==" {
				matches++
			} else {
				sets++
			}
			switch {
			case key == "LABEL":
				labels[value] = i
				matches++
			case key == "GOTO":
				gotos[value] = i
			case key == "MODE" && value != "0660":
				bad = append(bad, fmt.Sprintf("line %d: mode %s", i+1, value))
			case strings.HasSuffix(key, "{idVendor}") || strings.HasSuffix(key, "{idProduct}"):
				if !regexp.MustCompile(`^[0-9a-f]{4}$`).MatchString(value) {
					bad = append(bad, fmt.Sprintf("line %d: id %s", i+1, value))
				}
			}
		}
		if matches == 0 || sets == 0 {
			bad = append(bad, fmt.Sprintf("line %d matches everything or does nothing", i+1))
		}
	}
	for label, at := range gotos {
		if to, ok := labels[label]; !ok || to < at {
			bad = append(bad, "GOTO "+label+" leads nowhere")
		}
	}
	return bad
}

// TestUdevRules: the form is right, and every id of every model has access, a
// stable name, no ModemManager and no sleep.
func TestUdevRules(t *testing.T) {
	data, err := os.ReadFile(root + "/install/udev/70-payagent.rules")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, bad := range checkRules(text) {
		t.Error(bad)
	}
	verify(t, root+"/install/udev/70-payagent.rules")
	set, err := models.Load("")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range set.IDs() {
		m, _ := set.Get(name)
		for _, id := range m.IDs {
			covered := map[string]bool{}
			for line := range strings.Lines(text) {
				vendor := strings.Contains(line, `{idVendor}=="`+id.Vendor+`"`)
				product := !strings.Contains(line, "{idProduct}") || id.Product != "" && strings.Contains(line, `{idProduct}=="`+id.Product+`"`)
				if !vendor || !product || !strings.Contains(line, `GROUP="payagent", MODE="0660"`) {
					continue
				}
				for sub, need := range map[string]string{"usb": `ATTR{power/control}="on"`, "hidraw": "SYMLINK+=", "tty": `ENV{ID_MM_DEVICE_IGNORE}="1"`, "input": "SYMLINK+="} {
					if strings.HasPrefix(line, `SUBSYSTEM=="`+sub+`"`) && strings.Contains(line, need) {
						covered[sub] = true
					}
				}
			}
			if len(covered) != 4 {
				t.Errorf("%s %v: only %v", name, id, covered)
			}
			n++
		}
	}
	if n < 10 {
		t.Fatal("only", n, "ids")
	}
}

// verify asks udev itself, where it is new enough to be asked (254).
func verify(t *testing.T, file string) {
	t.Helper()
	out, err := exec.Command("udevadm", "--version").Output()
	version, _ := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || version < 254 {
		t.Logf("udevadm cannot verify rules here (version %d, %v); only our own check was made", version, err)
		return
	}
	if out, err := exec.Command("udevadm", "verify", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCheckRulesCanFail(t *testing.T) {
	for text, want := range map[string]string{
		`SUBSYSTEM="usb", GROUP="x"`:                             "SUBSYSTEM cannot have =",
		`SUBSYSTEM=="usb", GROUP=="x"`:                           "GROUP cannot have ==",
		`SUBSYSTEM=="usb" GROUP="x"`:                             "is no term",
		`SUBSYSTEM=="usb", MODE="0666"`:                          "mode 0666",
		`SUBSYSTEM=="usb", ATTRS{idVendor}=="0C2E", MODE="0660"`: "id 0C2E",
		`ACTION=="remove", GOTO="away"`:                          "leads nowhere",
		`GROUP="x"`:                                              "matches everything",
		`SUBSYSTEM=="usb"`:                                       "does nothing",
		"KERNEL==\"a\", GROUP=\"x\"\nKERNEL==\"a\", GROUP=\"x\"": "line 2 repeats line 1",
	} {
		if got := strings.Join(checkRules(text), "; "); !strings.Contains(got, want) {
			t.Errorf("%s: %q", text, got)
		}
	}
}
