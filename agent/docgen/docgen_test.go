package docgen

import (
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"payagent/agent/door"
	"payagent/agent/words"
	"payagent/devices/models"
	"payagent/platforms"
	"payagent/platforms/fwc"
	"payagent/platforms/fwc/fwcserve"
	"payagent/platforms/lc"
	"payagent/platforms/smartpay"
)

var update = flag.Bool("update", false, "write the generated documents")

const root = "../.."

// everyInterface names what the two documents define or demand.
const everyInterface = "000 SweepCodePay|000 QueryOrderState|000 Revoke|004 2.1|004 2.2|004 4.1|004 5.1|004 5.2|004 5.3|004 5.4|004 5.5|004 2.3|004 3.1|" +
	"004 6.1|004 6.1 return_url|004 6.2|004 6.3|004 6.4|004 3.2|004 6|004 6.5|004 6.6|004 7.1|004 7.2"

func interfaces() (string, error) {
	keys, err := ReadKeys(root)
	api, err2 := ReadAPI(root)
	if err := errors.Join(err, err2); err != nil {
		return "", err
	}
	table, err := WiresTable(root, Wires(), Questions(), keys.Known)
	if err != nil {
		return "", err
	}
	return InterfacesPage(table, []Adapter{
		{Driver: "smartpay", ZH: "智付", EN: "SmartPay", Rows: smartpay.Fields()},
		{Driver: "fwc", ZH: "联空集成平台", EN: "LinkingCloud FWC", Rows: fwc.Fields()},
		{Driver: "lc", ZH: "联空开放网关", EN: "LinkingCloud open gateway", Rows: lc.Fields()},
		{Driver: "fwc", ZH: "对账：平台来问，我们答", EN: "reconciliation: the platform asks, we answer", Rows: fwcserve.Fields(), Served: true},
	}, keys.Find, api)
}

// pages are the generated documents, by file.
func pages() map[string]func() (string, error) {
	return map[string]func() (string, error){
		"docs/states.md":     StatesPage,
		"docs/interfaces.md": interfaces,
		"docs/drivers.md":    func() (string, error) { return DriversPage(root) },
		"docs/metrics.md":    func() (string, error) { return MetricsPage(root) },
		"docs/errors.md":     func() (string, error) { return ErrorsPage(words.New(), door.ProblemStatus), nil },
		"install/udev/70-payagent.rules": func() (string, error) {
			set, err := models.Load("")
			return UdevRules(set), err
		},
		"docs/models.md": func() (string, error) {
			set, err := models.Load("")
			return ModelsPage(set), err
		},
	}
}

func TestDocumentsAreCurrent(t *testing.T) {
	for file, page := range pages() {
		want, err := page()
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		path := root + "/" + file
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is out of date; run make docs", file)
		}
	}
}

// Every row of the adapters stands in the page, under its message.
func TestInterfacesHoldEveryRow(t *testing.T) {
	page, err := interfaces()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	served := fwcserve.Fields()
	for i, r := range slices.Concat(served, smartpay.Fields(), fwc.Fields(), lc.Fields()) {
		n++
		section := "\n#### " + r.Message + " 请求 request\n"
		if (r.Direction == platforms.FieldRead) != (i < len(served)) {
			section = "\n#### " + r.Message + " 应答 reply\n"
		}
		_, rest, ok := strings.Cut(page, section)
		if here, _, _ := strings.Cut(rest, "\n#"); !ok || !strings.Contains(here, "| `"+r.Field+"` |") {
			t.Errorf("%s %s %s is not in the page", r.Message, r.Direction, r.Field)
		}
	}
	for _, message := range []string{"SweepCodePay", "QueryOrderState", "Revoke", "FWC_IF_Barcode_Pay", "FWC_IF_Barcode_Pay_Query",
		"FWC_IF_Barcode_Pay_Cancel", "FWC_IF_Barcode_Pay_Refund", "FWC_IF_Qrcode_Pay", "IF_Get_Hospital_Trade_List", "HIS_IF_Query"} {
		if strings.Count(page, "#### "+message+" ") != 2 {
			t.Errorf("%s has no request and reply of its own", message)
		}
	}
	if n < 200 {
		t.Errorf("only %d rows", n)
	}
}

// Every code of the wires, and every problem with its HTTP status, stands in
// the catalogue of errors.
func TestErrorsPageHoldsEveryCode(t *testing.T) {
	c := words.New()
	page := ErrorsPage(c, door.ProblemStatus)
	for _, g := range []words.Group{words.SmartPay, words.FWC, words.LC, words.Served, words.Problem} {
		for _, code := range c.Codes(g) {
			e, _ := c.Find(g, code)
			if !strings.Contains(page, "| `"+code+"` | ") || !strings.Contains(page, cell(e.IT.EN)) {
				t.Errorf("%s %s is not in the page", g, code)
			}
		}
	}
	for _, want := range []string{"| `bill_paid` | 409 | ", "| `platform_unreachable` | 503<br>Retry-After 10 | "} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// Every interface of the two documents is in the table.
func TestWiresAreComplete(t *testing.T) {
	have := map[string]bool{}
	for _, w := range Wires() {
		have[w.Seed+" "+w.Section] = true
	}
	for _, want := range strings.Split(everyInterface, "|") {
		if !have[want] {
			t.Errorf("%s of the documents has no row", want)
		}
	}
}

// What does not exist is refused.
func TestWiresThatNameNothing(t *testing.T) {
	good := Wire{"004", "5.1", "X", "", "", []Home{{WeCall, "platforms/fwc", []string{"TestPayTable"}}}, nil}
	asked := good
	asked.Open = []string{"a"}
	known := func(key string) bool { return key == "door.listen" }
	q := Question{ID: "a", Keys: []string{"door.listen"}}
	for name, x := range map[string]struct {
		wire Wire
		list []Question
		want string
	}{
		"good":            {asked, []Question{q}, ""},
		"no package":      {Wire{Name: "X", Homes: []Home{{WeCall, "platforms/nothing", []string{"TestPayTable"}}}}, nil, "no Go package"},
		"no test":         {Wire{Name: "X", Homes: []Home{{WeCall, "platforms/fwc", []string{"TestNothing"}}}}, nil, "does not exist"},
		"part of a name":  {Wire{Name: "X", Homes: []Home{{WeCall, "platforms/fwc", []string{"TestPay"}}}}, nil, "does not exist"},
		"test elsewhere":  {Wire{Name: "X", Homes: []Home{{WeCall, "platforms/fwc", []string{"platforms/smartpay TestPayTable"}}}}, nil, "does not exist"},
		"no proof":        {Wire{Name: "X", Homes: []Home{{WeCall, "platforms/fwc", nil}}}, nil, "no test proves"},
		"no home":         {Wire{Name: "X"}, nil, "built nowhere"},
		"unlisted":        {asked, nil, "not listed"},
		"of nobody":       {good, []Question{q}, "belongs to no interface"},
		"key not to find": {asked, []Question{{ID: "a", Keys: []string{"door.port"}}}, "does not exist"},
	} {
		_, err := WiresTable(root, []Wire{x.wire}, x.list, known)
		if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A row that names what does not exist is refused.
func TestRowsThatNameNothing(t *testing.T) {
	keys, err := ReadKeys(root)
	if err != nil {
		t.Fatal(err)
	}
	api, err := ReadAPI(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"api amount_yuan", "api patient.password", "config merchants.token", "config horizon", "made up", ""} {
		_, err := InterfacesPage("", []Adapter{{Driver: "fwc", Rows: []platforms.FieldRow{{Message: "M", Field: "F", Direction: platforms.FieldSent, Source: source}}}}, keys.Find, api)
		if err == nil {
			t.Errorf("the source %q was taken", source)
		}
	}
}

func TestNamesOfSettings(t *testing.T) {
	for name, want := range map[string]string{"ClientID": "client_id", "QRPayTypes": "qr_pay_types", "Cnt": "cnt", "SweepCodePay": "sweep_code_pay", "EqptTypes": "eqpt_types"} {
		if got := snake(name); got != want {
			t.Errorf("%s becomes %s, want %s", name, got, want)
		}
	}
	keys, err := ReadKeys(root)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{"door.listen": true, "door": true, "tills[].scanners[].role": true, "order_types.NAME.class": true,
		"platforms.options.client_id": true, "transaction_codes.revoke": true, "tills.scanners.options.baud": true,
		"door.port": false, "platforms.options.baud": false, "policy.horizn": false} {
		if keys.Known(key) != want {
			t.Errorf("key %s known: %v", key, !want)
		}
	}
}

// Every kind of fact that the code knows has a row in the transition table,
// and every status of an answer has one in the table of answers.
func TestTablesHoldEveryKind(t *testing.T) {
	constants := func(file, typ string) []string {
		tree, err := parser.ParseFile(token.NewFileSet(), root+"/"+file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		ast.Inspect(tree, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Names) == len(v.Values) {
				if id, ok := v.Type.(*ast.Ident); ok && id.Name == typ {
					for i := range v.Values {
						list = append(list, strings.Trim(v.Values[i].(*ast.BasicLit).Value, `"`))
					}
				}
			}
			return true
		})
		return list
	}
	kinds := constants("agent/order/fact.go", "Kind")
	if len(kinds) < 11 {
		t.Fatalf("only the kinds %v were found", kinds)
	}
	for _, k := range kinds {
		if !slices.ContainsFunc(facts(), func(f namedFact) bool { return string(f.fact.Kind) == k }) {
			t.Errorf("the kind %q has no row in facts.go of this package", k)
		}
	}
	var names []string
	for _, r := range replies() {
		names = append(names, r.name)
	}
	all := strings.Join(names, "\n")
	statuses := constants("platforms/platforms.go", "Status")
	if len(statuses) != 7 {
		t.Fatalf("%d statuses were found", len(statuses))
	}
	for _, s := range statuses {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		word := map[platforms.Status]string{platforms.Unknown: "unreadable", platforms.Failed: "definite refusal"}[platforms.Status(n)]
		if word == "" {
			word = strings.ReplaceAll(platforms.Status(n).String(), "_", " ")
		}
		if !strings.Contains(all, word) {
			t.Errorf("the status %q has no row in replies.go of this package", platforms.Status(n))
		}
	}
}
