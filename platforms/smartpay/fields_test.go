package smartpay

import (
	"bufio"
	"strings"
	"testing"

	"payagent/platforms"
	"payagent/platforms/internal/strictxml"
	"payagent/platforms/internal/wiretest"
	"payagent/platforms/smartpay/internal/message"
)

type rowKey struct{ message, direction, field string }

func rows(t testing.TB) map[rowKey]platforms.FieldRow {
	t.Helper()
	return wiretest.Rows(t, Fields(), func(message, direction, field string) rowKey { return rowKey{message, direction, field} })
}

// paths lists every element below n, inner ones too.
func paths(n *strictxml.Node, under string) []string {
	var all []string
	for _, k := range n.Kids {
		all = append(all, under+k.Name)
		all = append(all, paths(k, under+k.Name+"/")...)
	}
	return all
}

func TestEveryFieldOfTheSeedHasARow(t *testing.T) {
	have := rows(t)
	need := func(message, direction, field, why string) {
		if _, ok := have[rowKey{message, direction, field}]; !ok {
			t.Errorf("%s %s %s (%s) has no row", message, direction, field, why)
		}
	}
	n := 0
	lines := bufio.NewScanner(strings.NewReader(file(t, "seed/tables.txt")))
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 4 && f[0] != "#" {
			need(f[0], f[1], f[2], "table")
			n++
		}
	}
	if n != 39 {
		t.Errorf("%d rows in the seed's tables, want 39", n)
	}
	for _, method := range []string{message.Charge, message.Query, message.Revoke} {
		for ext, direction := range map[string]string{".req.xml": platforms.FieldSent, ".resp.xml": platforms.FieldRead} {
			root, err := strictxml.ParseText(repaired(file(t, "seed/"+method+ext)))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range paths(root, "") {
				need(method, direction, path, "sample")
			}
		}
		root, err := strictxml.ParseText(sent(t, method))
		if err != nil {
			t.Fatal(err)
		}
		sentNow := map[string]bool{}
		for _, path := range paths(root, "") {
			need(method, platforms.FieldSent, path, "sent by the codec")
			sentNow[path] = true
		}
		for k := range have {
			if k.message == method && k.direction == platforms.FieldSent && !sentNow[k.field] {
				t.Errorf("%v has a row and is not sent", k)
			}
		}
	}
}

func TestEveryFieldThatIsReadHasARow(t *testing.T) {
	have := rows(t)
	var r reply
	for _, method := range []string{message.Charge, message.Query, message.Revoke} {
		for _, name := range []string{"RespCode", "RespMessage"} {
			if _, ok := have[rowKey{method, platforms.FieldRead, name}]; !ok {
				t.Errorf("%s %s is read and has no row", method, name)
			}
		}
		for _, s := range r.body() {
			if _, ok := have[rowKey{method, platforms.FieldRead, "Data/" + s.name}]; !ok {
				t.Errorf("%s Data/%s is read and has no row", method, s.name)
			}
		}
	}
}

func TestEveryMandatoryFieldIsChecked(t *testing.T) {
	p := open(t, &canned{})
	lines := bufio.NewScanner(strings.NewReader(file(t, "seed/tables.txt")))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 4 || f[1] != "sent" || f[3] != "M" || f[2] == "TransactionCode" {
			continue
		}
		name := strings.TrimPrefix(f[2], "Data/")
		var elements []element
		switch f[0] {
		case message.Charge:
			elements = p.chargeElements(goldenCharge())
		case message.Query:
			elements = queryElements(goldenHandle, "0755001")
		case message.Revoke:
			elements = revokeElements(goldenHandle, goldenRef())
		}
		found := false
		for i := range elements {
			if elements[i].name != name {
				continue
			}
			found = true
			elements[i].value = " \t"
			var fe *platforms.FieldError
			if _, err := p.document("1", elements); !asField(err, &fe) || fe.Field != elements[i].field {
				t.Errorf("%s without %s: %v", f[0], name, err)
			}
		}
		if !found {
			t.Errorf("%s: 必须 field %s is not sent", f[0], name)
		}
	}
}
