package strictxml_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"payagent/platforms/internal/strictxml"
)

func gb(t testing.TB, s string) string {
	t.Helper()
	b, err := strictxml.ToGB(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAccepted(t *testing.T) {
	cases := map[string]struct{ doc, want string }{
		"plain":             {"<r><v>1</v></r>", "1"},
		"declared":          {`<?xml version="1.0" encoding="utf-8" ?><r><v>中</v></r>`, "中"},
		"single quotes":     {`<?xml version='1.0' encoding='UTF-8' standalone='yes'?><r><v>中</v></r>`, "中"},
		"blanks before":     {" \r\n\t<?xml version=\"1.0\"?>\n<r><v>1</v></r>\n", "1"},
		"BOM before":        {"\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><r><v>1</v></r>", "1"},
		"BOM after blanks":  {"\n\ufeff\n<r><v>1</v></r>", "1"},
		"leading blank":     {"<r><v> APPOINTMENT</v></r>", "APPOINTMENT"},
		"CDATA":             {"<r><v><![CDATA[<a>&]]></v></r>", "<a>&"},
		"references":        {"<r><v>&lt;a&gt;&amp;&#65;&#x42;</v></r>", "<a>&AB"},
		"gbk":               {`<?xml version="1.0" encoding="GBK"?><r><v>` + gb(t, "支付成功") + `</v></r>`, "支付成功"},
		"gb2312":            {`<?xml version="1.0" encoding="gb2312"?><r><v>` + gb(t, "余额") + `</v></r>`, "余额"},
		"gb18030":           {`<?xml version="1.0" encoding="gb18030"?><r><v>` + gb(t, "余额") + `</v></r>`, "余额"},
		"default namespace": {`<r xmlns="urn:x"><v>1</v></r>`, "1"},
		"prefixed":          {`<p:r xmlns:p="urn:x"><p:v>1</p:v></p:r>`, "1"},
		"child without":     {`<p:r xmlns:p="urn:x"><v>1</v></p:r>`, "1"},
		"missing":           {"<r/>", ""},
		"comment between":   {"<r><!-- x --><v>1</v></r>", "1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n, err := strictxml.Parse([]byte(c.doc))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := n.Value("v"); err != nil || got != c.want {
				t.Errorf("value %q, error %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	deep := strings.Repeat("<a>", strictxml.MaxDepth+1) + strings.Repeat("</a>", strictxml.MaxDepth+1)
	cases := map[string]string{
		"nothing":              "",
		"blanks only":          " \n",
		"no element":           "hello",
		"html":                 "<html><body><br></body></html>",
		"text before":          "x<r/>",
		"text after":           "<r/>x",
		"element after":        "<r/><r/>",
		"NUL after":            "<r/>\x00",
		"cut":                  "<r><v>1</v>",
		"cut in a tag":         "<r><v>1</",
		"crossed tags":         "<r><OrderId>1</HisOrderId></r>",
		"DTD":                  `<!DOCTYPE r [<!ENTITY a "b">]><r>&a;</r>`,
		"entity":               "<r>&nbsp;</r>",
		"PI":                   "<r><?php x?></r>",
		"second declaration":   `<?xml version="1.0"?><?xml version="1.0"?><r/>`,
		"declaration inside":   `<r><?xml version="1.0"?></r>`,
		"XML 1.1":              `<?xml version="1.1"?><r/>`,
		"bad declaration":      `<?xml encoding="utf-8"?><r/>`,
		"other PI in front":    `<?xml-stylesheet href="x"?><r/>`,
		"latin1":               `<?xml version="1.0" encoding="iso-8859-1"?><r/>`,
		"utf-16":               "\xff\xfe<\x00r\x00/\x00>\x00",
		"utf-8 declared, gbk":  `<?xml version="1.0" encoding="utf-8"?><r>` + gb(t, "支付") + `</r>`,
		"gbk declared, broken": `<?xml version="1.0" encoding="gbk"?><r>` + "\xff\xff" + `</r>`,
		"gbk with BOM":         "\ufeff" + `<?xml version="1.0" encoding="gbk"?><r/>`,
		"bad utf-8":            "<r>\xc3\x28</r>",
		"control character":    "<r>\x01</r>",
		"control reference":    "<r>&#1;</r>",
		"attribute":            `<r a="1"/>`,
		"undeclared prefix":    `<p:r/>`,
		"namespace twice":      `<r xmlns="a" xmlns="b"/>`,
		"empty prefix":         `<r xmlns:p=""/>`,
		"two colons":           `<r xmlns:a="u"><a:b:c/></r>`,
		"unquoted attribute":   `<r xmlns=u/>`,
		"comment in a value":   "<r><v>TRADE_<!-- -->SUCCESS</v></r>",
		"other prefix closes":  `<a:r xmlns:a="u" xmlns:b="u"></b:r>`,
		"deep":                 deep,
		"long":                 "<r>" + strings.Repeat("x", strictxml.MaxBytes) + "</r>",
	}
	for name, doc := range cases {
		t.Run(name, func(t *testing.T) {
			if n, err := strictxml.Parse([]byte(doc)); !errors.Is(err, strictxml.ErrXML) {
				t.Errorf("accepted as %+v, error %v", n, err)
			}
		})
	}
	if _, err := strictxml.Parse([]byte(strings.Repeat("<a>", 16) + strings.Repeat("</a>", 16))); err != nil {
		t.Errorf("16 levels must be read: %v", err)
	}
}

func TestParseTextIgnoresDeclaredEncoding(t *testing.T) {
	for _, enc := range []string{"utf-8", "GBK", "utf-16", "x-anything"} {
		n, err := strictxml.ParseText("\ufeff \n<?xml version=\"1.0\" encoding=\"" + enc + "\" ?><r><v>支付</v></r>")
		if err != nil {
			t.Fatalf("%s: %v", enc, err)
		}
		if v, _ := n.Value("v"); v != "支付" {
			t.Errorf("%s: read %q", enc, v)
		}
	}
	if _, err := strictxml.ParseText("<r>\xff</r>"); err == nil {
		t.Error("bytes that are not UTF-8 were read")
	}
	if _, err := strictxml.ParseText(strings.Repeat(" ", strictxml.MaxBytes) + "<r/>"); err == nil {
		t.Error("a long text was read")
	}
}

func TestEnvelopesReadOverAttributes(t *testing.T) {
	n, err := strictxml.ParseReply([]byte(`<e:E xmlns:e="u" e:encodingStyle="x"><v e:type="s">1</v></e:E>`), "", true)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := n.Value("v"); v != "1" || err != nil {
		t.Errorf("read %q, %v", v, err)
	}
	if _, err := strictxml.ParseEnvelope([]byte(`<E><v href="#id0"/></E>`)); err == nil {
		t.Error("a value that stands elsewhere was accepted")
	}
}

func TestParseReplyHeedsTheHeader(t *testing.T) {
	cases := map[string]struct {
		doc, charset string
		fine         bool
	}{
		"header alone":        {"<r><v>" + gb(t, "支付") + "</v></r>", "GBK", true},
		"both the same":       {`<?xml version="1.0" encoding="gbk"?><r><v>` + gb(t, "支付") + "</v></r>", "gb2312", true},
		"header utf-8":        {"<r><v>支付</v></r>", "UTF-8", true},
		"contradiction":       {`<?xml version="1.0" encoding="utf-8"?><r><v>支付</v></r>`, "gbk", false},
		"contradiction, gbk":  {`<?xml version="1.0" encoding="gbk"?><r><v>1</v></r>`, "utf-8", false},
		"other":               {"<r><v>1</v></r>", "utf-16", false},
		"utf-8 bytes as gbk?": {"<r><v>\xe6\x94</v>\xff</r>", "gbk", false},
	}
	for name, c := range cases {
		n, err := strictxml.ParseReply([]byte(c.doc), c.charset, false)
		if (err == nil) != c.fine {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if v, _ := n.Value("v"); v != "支付" {
				t.Errorf("%s: read %q", name, v)
			}
		}
	}
}

func TestOneMaybeAll(t *testing.T) {
	n, err := strictxml.Parse([]byte(`<r xmlns:e="evil"><a>1</a><b>1</b><b>2</b><e:c>666</e:c><d><x/></d></r>`))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := n.One("a"); err != nil || k.Text != "1" {
		t.Errorf("One(a) = %v, %v", k, err)
	}
	for _, name := range []string{"b", "c", "z"} {
		if _, err := n.One(name); err == nil {
			t.Errorf("One(%s) found something", name)
		}
	}
	if k, err := n.Maybe("z"); k != nil || err != nil {
		t.Errorf("Maybe(z) = %v, %v", k, err)
	}
	if _, err := n.Maybe("c"); err == nil {
		t.Error("a foreign namespace was taken for ours")
	}
	if got := len(n.All("b")); got != 2 {
		t.Errorf("All(b) found %d", got)
	}
	if got := len(n.All("c")); got != 0 {
		t.Errorf("All(c) found %d of a foreign namespace", got)
	}
	if _, err := n.Value("d"); err == nil {
		t.Error("an element with elements was read as a value")
	}
}

func TestNoDuplicates(t *testing.T) {
	cases := map[string]struct {
		doc  string
		fine bool
	}{
		"once":            {"<r><a/><b/></r>", true},
		"twice":           {"<r><a/><a/></r>", false},
		"case twin":       {"<r><TradeStatus/><tradestatus/></r>", false},
		"deep":            {"<r><b><a/><a/></b></r>", false},
		"foreign twin":    {`<r xmlns:e="evil"><a/><e:a/></r>`, false},
		"allowed":         {"<r><list/><list/></r>", true},
		"allowed, cased":  {"<r><list/><List/></r>", false},
		"in two branches": {"<r><x><a/></x><y><a/></y></r>", true},
	}
	for name, c := range cases {
		n, err := strictxml.Parse([]byte(c.doc))
		if err != nil {
			t.Fatal(err)
		}
		if err := n.NoDuplicates("list"); (err == nil) != c.fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEscape(t *testing.T) {
	for _, s := range []string{"", "a<b>&\"'", "]]>", "中文\r\n\t", "😀", "&lt;"} {
		e, err := strictxml.EscapeChecked(s)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strictxml.ParseText("<r>" + e + "</r>")
		if err != nil || n.Text != s {
			t.Errorf("%q came back as %+v, %v", s, n, err)
		}
		if strictxml.Escape(s) != e {
			t.Errorf("Escape(%q) differs", s)
		}
	}
	for _, s := range []string{"\x00", "\x0b", "\ufffe", "\xff"} {
		if _, err := strictxml.EscapeChecked(s); err == nil {
			t.Errorf("%q was escaped", s)
		}
		if _, err := strictxml.ParseText("<r>" + strictxml.Escape(s) + "</r>"); err != nil {
			t.Errorf("Escape(%q) is not XML: %v", s, err)
		}
	}
	if _, err := strictxml.ToGB("😀"); err == nil {
		t.Error("GBK took a character that it lacks")
	}
}

func TestErrorsQuoteNoValues(t *testing.T) {
	_, err := strictxml.Parse([]byte("<r><AuthCode>134567890123456789</Auth></r>"))
	if err == nil || strings.Contains(err.Error(), "1345") {
		t.Errorf("error %v", err)
	}
}

// Whatever is accepted reads the same with the standard decoder (T-S4).
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"<r><v>1</v></r>", "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<xml><head/><body> a</body><sign></sign></xml>",
		`<?xml version="1.0" encoding="GBK"?><r>` + "\xd6\xa7" + `</r>`, `<p:r xmlns:p="u"><p:v>&#65;<![CDATA[x]]></p:v></p:r>`,
		"<!DOCTYPE r><r/>", "<r a='1'/>", "<r/>\x00", "<r><v>1<!-- --></v></r>",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := strictxml.Parse(b)
		if err != nil {
			if n != nil || !errors.Is(err, strictxml.ErrXML) {
				t.Fatalf("%v with error %v", n, err)
			}
			return
		}
		var names, want []string
		var text, all strings.Builder
		walk(n, &names, &text)
		d := xml.NewDecoder(strings.NewReader(string(b)))
		d.CharsetReader = func(cs string, r io.Reader) (io.Reader, error) {
			raw, _ := io.ReadAll(r)
			s, err := strictxml.FromGB(string(raw))
			return strings.NewReader(s), err
		}
		for {
			tok, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Skip("the standard decoder wants less in front of the declaration")
			}
			switch x := tok.(type) {
			case xml.StartElement:
				want = append(want, x.Name.Space+" "+x.Name.Local)
			case xml.CharData:
				all.Write(x)
			}
		}
		if strings.Join(names, ";") != strings.Join(want, ";") {
			t.Fatalf("names %q, the standard decoder reads %q", names, want)
		}
		trim := func(s string) string { return strings.Join(strings.Fields(strings.ReplaceAll(s, "\ufeff", "")), "") }
		if len(trim(text.String())) != len(trim(all.String())) {
			t.Fatalf("text %q, the standard decoder reads %q", text.String(), all.String())
		}
	})
}

func walk(n *strictxml.Node, names *[]string, text *strings.Builder) {
	*names = append(*names, n.Space+" "+n.Name)
	text.WriteString(n.Text)
	for _, k := range n.Kids {
		walk(k, names, text)
	}
}
