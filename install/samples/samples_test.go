package samples

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"payagent/agent"
	"payagent/agent/agenttest"
	"payagent/agent/door"
	"payagent/agent/door/livetest"
	"payagent/agent/order"
)

// all also compiles and runs what needs further compilers: make samples.
var all = flag.Bool("all", false, "also C# (mono-mcs) and Pascal (fp-compiler)")

// sample is how one is built and run; DIR is an empty folder.
type sample struct {
	build [][]string
	run   []string
	env   []string
}

const clib = "../../agent/door/clib/src"

var library = []string{"gcc", "-std=c99", "-O1", "-fPIC", "-shared", "-o", "DIR/libpayagent.so", clib + "/payagent.c", clib + "/parse.c", clib + "/text.c", clib + "/net.c"}

func samples() map[string]sample {
	m := map[string]sample{
		"go":     {build: [][]string{{"go", "build", "-o", "DIR/sample", "./go"}}, run: []string{"DIR/sample"}},
		"sh":     {run: []string{"sh", "sh/sample.sh"}},
		"js":     {run: []string{"node", "js/sample.js"}},
		"python": {run: []string{"python3", "python/sample.py"}},
		"java":   {build: [][]string{{"javac", "-encoding", "UTF-8", "-d", "DIR", "java/Sample.java"}}, run: []string{"java", "-Xshare:auto", "-cp", "DIR", "Sample"}},
		"c": {build: [][]string{library, {"gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-I", clib, "-o", "DIR/sample", "c/sample.c", "-LDIR", "-lpayagent"}},
			run: []string{"DIR/sample"}, env: []string{"LD_LIBRARY_PATH=DIR"}},
	}
	if *all {
		m["csharp"] = sample{build: [][]string{{"mcs", "-warnaserror", "-out:DIR/sample.exe", "csharp/Sample.cs"}}, run: []string{"mono", "DIR/sample.exe"}}
		m["pascal"] = sample{build: [][]string{library, {"fpc", "-Mdelphi", "-FEDIR", "-FUDIR", "-FlDIR", "pascal/sample.pas"}},
			run: []string{"DIR/sample"}, env: []string{"LD_LIBRARY_PATH=DIR"}}
	}
	return m
}

// TestSamples runs each sample against an agent; the answer to its first
// request is lost on the way back, so each has to repeat it with its key.
func TestSamples(t *testing.T) {
	for name, s := range samples() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put := func(list []string) []string {
				out := slices.Clone(list)
				for i := range out {
					out[i] = strings.ReplaceAll(out[i], "DIR", dir)
				}
				return out
			}
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
			defer stop()
			for _, b := range s.build {
				b = put(b)
				if out, err := exec.CommandContext(ctx, b[0], b[1:]...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s", b, err, out)
				}
			}
			live := livetest.Start(t)
			live.LoseAnswers(1)
			bill := "S" + strings.ToUpper(name)
			run := put(s.run)
			cmd := exec.CommandContext(ctx, run[0], run[1:]...)
			cmd.Env = append(append(os.Environ(), put(s.env)...), "PAYAGENT_ADDRESS="+live.Address, "PAYAGENT_TOKEN_FILE="+live.TokenFile, "PAYAGENT_BILL="+bill,
				"PAYAGENT_TILL="+agenttest.W1, "PAYAGENT_CODE_1="+livetest.Code(1), "PAYAGENT_CODE_2="+livetest.Code(2), "LC_ALL=C.UTF-8")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			at := 0
			for _, want := range []string{"PAID ", "BOOKED ", "REFUNDED ", "NO CASH ", "CANCELED ", "CASH OK", "FOUND paid"} {
				n := strings.Index(string(out)[at:], want)
				if n < 0 {
					t.Fatalf("%q is missing\n%s", want, out)
				}
				at += n
			}
			judge(t, live, bill)
		})
	}
}

// judge looks at what the agent and the bank hold.
func judge(t *testing.T, live *livetest.Door, bill string) {
	t.Helper()
	bank := live.Banks[agenttest.Full]
	if charges, refunds := len(bank.Calls("charge")), len(bank.Calls("refund")); charges != 2 || refunds != 1 {
		t.Errorf("%d charges and %d refunds left, want 2 and 1", charges, refunds)
	}
	one := func(bill string) *order.Order {
		list, err := live.Agent.Find(agent.ByBill, bill)
		if err != nil || len(list) != 1 {
			t.Fatalf("%d orders of %s: %v", len(list), bill, err)
		}
		return list[0]
	}
	first, second := one(bill+"-1"), one(bill+"-2")
	if first.State() != order.Paid || first.RefundedSum() != 230 || first.Booking == nil || first.Booking.FlowID != bill+"-F1" {
		t.Errorf("%s: %s, %s given back, booking %+v", first.Bill, first.State(), first.RefundedSum(), first.Booking)
	}
	if second.State() != order.Canceled {
		t.Errorf("%s: %s", second.Bill, second.State())
	}
}

// names gives every name that the interface knows: members, paths, words.
func names(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	var spec any
	if err := json.Unmarshal(door.OpenAPI(), &spec); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if p, ok := v["properties"].(map[string]any); ok {
				for name := range p {
					known[name] = true
				}
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(spec)
	return known
}

// member is a JSON member in a source, with quotes as some languages double
// or escape them.
var member = regexp.MustCompile(`(?:\\?"|"")([a-z]+(?:_[a-z]+)*)(?:\\?"|"")(?:: ?|":)`)

// TestNamesExist: every member that a sample sends or reads is one of the
// interface.
func TestNamesExist(t *testing.T) {
	known := names(t)
	files, err := filepath.Glob("*/*.*")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, m := range member.FindAllStringSubmatch(string(text), -1) {
			found++
			if !known[m[1]] {
				t.Errorf("%s: %q is no member of the interface", file, m[1])
			}
		}
		if found < 5 && !strings.HasSuffix(file, ".js") {
			t.Errorf("%s: only %d members found", file, found)
		}
	}
	if names := member.FindAllStringSubmatch(`"amuont":1 ""bill"": \"key\":`, -1); len(names) != 3 || known["amuont"] {
		t.Errorf("the check finds nothing: %q", names)
	}
}

// blocks are the words that open and close something in a language.
type blocks struct{ open, end string }

// TestUncompiled looks at the samples that nothing here can compile: marked
// so, blocks closed, quotes paired, and their declarations those of the header.
func TestUncompiled(t *testing.T) {
	header, err := os.ReadFile(filepath.FromSlash(clib + "/payagent.h"))
	if err != nil {
		t.Fatal(err)
	}
	for file, list := range map[string][]blocks{
		"powerbuilder/n_payagent.sru": {{`(?m)^public function .*;$`, `(?m)^end function$`}, {`(?mi)^\s*if .* then$`, `(?mi)^\s*end if$`}, {`(?mi)^\s*do while`, `(?mi)^\s*loop$`},
			{`(?m)^(type|forward) prototypes$`, `(?m)^end prototypes$`}, {`(?m)^type variables$`, `(?m)^end variables$`}, {`(?m)^global type`, `(?m)^end type$`}},
		"vb6/payagent.bas": {{`(?m)^(Public|Private) (Function|Sub) `, `(?m)^End (Function|Sub)`}, {`(?m)^\s*If .* Then$`, `(?m)^\s*End If$`}, {`(?m)^\s*Do While`, `(?m)^\s*Loop$`}},
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range uncompiled(string(data), string(header), list) {
			t.Errorf("%s: %s", file, bad)
		}
		// The check finds what is wrong.
		for _, change := range [][2]string{{"NOT COMPILED HERE", ""}, {"payagent_refund", "payagent_refnud"}, {"end if", ""}, {"End If", ""}, {`"-1`, `-1`}, {"orderNo As String, ByVal request", "orderNo As String, ByVal more As Long, ByVal request"},
			{"string order_no, string request", "string order_no, long more, string request"}} {
			if spoiled := strings.Replace(string(data), change[0], change[1], 1); spoiled != string(data) && len(uncompiled(spoiled, string(header), list)) == 0 {
				t.Errorf("%s: nobody sees that %q is gone", file, change[0])
			}
		}
	}
}

func uncompiled(text, header string, list []blocks) (bad []string) {
	if !strings.Contains(text, "NOT COMPILED HERE") {
		bad = append(bad, "is not marked as not compiled")
	}
	for _, b := range list {
		if o, e := len(regexp.MustCompile(b.open).FindAllString(text, -1)), len(regexp.MustCompile(b.end).FindAllString(text, -1)); o != e || o == 0 {
			bad = append(bad, fmt.Sprintf("%d of %q and %d of %q", o, b.open, e, b.end))
		}
	}
	for i, line := range strings.Split(text, "\n") {
		code := strings.TrimSpace(line)
		if strings.HasPrefix(code, "//") || strings.HasPrefix(code, "'") {
			continue
		}
		code = regexp.MustCompile(`'[^']*'`).ReplaceAllString(code, "") // PowerBuilder's other quotes
		if strings.Count(code, `'`) != 0 || strings.Count(code, `"`)%2 != 0 || strings.Count(code, "(") != strings.Count(code, ")") {
			bad = append(bad, fmt.Sprintf("line %d: quotes or brackets are not paired", i+1))
		}
	}
	declared := 0
	for _, m := range regexp.MustCompile(`(?mi)function (?:long )?(payagent_\w+) ?(?:Lib "[^"]*" )?\(([^)]*)\)`).FindAllStringSubmatch(text, -1) {
		declared++
		c := regexp.MustCompile(`PAYAGENT_CALL ` + m[1] + `\(([^)]*)\)`).FindStringSubmatch(header)
		if c == nil || strings.Count(c[1], ",") != strings.Count(m[2], ",") {
			bad = append(bad, m[1]+" is not declared as in payagent.h")
		}
	}
	if declared < 5 {
		bad = append(bad, fmt.Sprintf("declares %d functions", declared))
	}
	return bad
}
