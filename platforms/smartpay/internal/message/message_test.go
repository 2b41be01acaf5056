package message

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"payagent/platforms/internal/strictxml"
)

// anyText is text that XML can carry, without blanks around it.
func anyText() *rapid.Generator[string] {
	return rapid.Map(rapid.StringOf(rapid.RuneFrom([]rune("aZ09 <>&\"'\r\n\t门诊]>😀/{}:,\\"))), strings.TrimSpace)
}

// Both directions, for any values: what is written is what is read.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := Request{TransactionCode: "1001", Data: Fields{{"Subject", anyText().Draw(t, "subject")}, {"OrderMemo", anyText().Draw(t, "memo")}}}
		root, err := strictxml.ParseText(q.XML())
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadRequest(root)
		if diff := cmp.Diff(q, got); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
		a := Reply{TransactionCode: "1001", Code: -400011, Message: anyText().Draw(t, "message"), Data: Fields{{"OrderId", anyText().Draw(t, "order")}}}
		if root, err = strictxml.ParseText(a.XML()); err != nil {
			t.Fatal(err)
		}
		said, err := ReadReply(root)
		if err != nil || said.Code != a.Code || said.Message != a.Message || said.Word != "-400011" {
			t.Fatalf("%+v %v", said, err)
		}
		if v, err := said.Data.Value("OrderId"); err != nil || v != a.Data[0].Value {
			t.Fatalf("%q %v", v, err)
		}
		w, err := ReadWrapper(Wrapper{Msg: a.Message, Result: a.XML(), HasResult: true}.JSON())
		if err != nil || w.Result != a.XML() || w.Msg != a.Message || w.Code != 0 {
			t.Fatalf("%+v %v", w, err)
		}
		// The JSON of variant E, whose request side has the same form but for Data.
		text := string(a.JSON())
		text = strings.Replace(text[:strings.LastIndex(text, "]}")], `"Data":[`, `"Data":`, 1) + "}"
		if got, err = readJSON(text); err != nil || strings.TrimSpace(got.Data.Get("OrderId")) != a.Data[0].Value {
			t.Fatalf("%s: %+v %v", text, got, err)
		}
	})
}

// The variants by their addresses.
func TestVariants(t *testing.T) {
	for path, want := range map[string]Variant{
		"/WSGW/services/ServiceGateWay": WSGWSOAP, "/x/WSGW/services/ServiceGateWay": WSGWSOAP, "/WSGW/rest": WSGWREST, "/rest": Raw,
		"/wsgw/smartPay/SmartPay/Revoke/call.do": FormXML, "/b/wsgw/smartPay/Any/Revoke/call.do": FormXML, "/call.do": FormXML,
		"/wsgw/smartPay/Revoke/callApi.do": JSONGate, "/callApi.do": Raw,
		"/thirdparty/c/o/a/smartPay/SmartPay/Revoke/execute.do": ThirdParty, "/thirdparty/c/o/a/smartPay/SmartPay/Revoke/getExecute.do": ThirdParty, "/execute.do": Raw,
		"": Raw, "/": Raw, "/Revoke": Raw, "//": Raw,
	} {
		r := httptest.NewRequest(http.MethodPost, "http://h/", nil)
		if c, _, _ := Read(r, path, nil); c.Variant != want {
			t.Errorf("%q: %c", path, c.Variant)
		}
	}
}

// What does not say plainly that it is a Revoke gives no money back, and a
// field that stands twice is nobody's guess.
func TestNothingIsGuessed(t *testing.T) {
	ask := func(method, path, body string) (Call, *Refusal) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "text/xml")
		c, _, refusal := Read(r, r.URL.Path, []byte(body))
		return c, refusal
	}
	bare := func(fields string) string {
		return "<Req><TransactionCode>1</TransactionCode><Data><OrderId>1</OrderId>" + fields + "</Data></Req>"
	}
	for fields, want := range map[string]string{
		"":                               Query,
		"<OperatorId>7</OperatorId>":     "",
		"<OperatorName>a</OperatorName>": "",
		"<OperatorId>7</OperatorId><OperatorName>a</OperatorName>": Revoke,
	} {
		c, refusal := ask(http.MethodPost, "/", bare(fields))
		if (refusal == nil) != (want != "") || refusal == nil && c.Method != want {
			t.Errorf("%s: %q %v", fields, c.Method, refusal)
		}
	}
	const query = "AuthInfo=%7B%22ClientId%22%3A%22h%22%2C%22ClientVersion%22%3A%221.0%22%7D&Api=smartPay.SmartPay.QueryOrderState&Param=%3CReq%3E%3CTransactionCode%3E1%3C%2FTransactionCode%3E%3CData%3E%3COrderId%3E1%3C%2FOrderId%3E%3C%2FData%3E%3C%2FReq%3E&ParamType=1&OutType=1"
	if _, refusal := ask(http.MethodGet, "/WSGW/rest?"+query, ""); refusal != nil {
		t.Errorf("%+v", refusal)
	}
	if _, refusal := ask(http.MethodGet, "/WSGW/rest?"+query+"&param=x", ""); refusal == nil {
		t.Error("Param and param: one of the two was chosen")
	}
}
