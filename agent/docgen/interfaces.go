package docgen

import (
	"fmt"
	"strings"

	"payagent/platforms"
)

// Adapter is one platform's share of docs/interfaces.md.
type Adapter struct {
	Driver string // its name in the configuration
	ZH, EN string
	Rows   []platforms.FieldRow
	Served bool // the other side asks and we answer: what is read is the request
}

// InterfacesPage writes docs/interfaces.md from the table of [WiresTable] and
// the adapters' own rows. find
// gives the full name of a configuration key that a row names, with the
// driver it belongs to; api tells whether the interface has a field. What
// neither knows is an error, because the page would tell nonsense.
func InterfacesPage(table string, adapters []Adapter, find func(driver, key string) (string, bool), api func(field string) bool) (string, error) {
	var b strings.Builder
	b.WriteString(`# 接口 Interfaces

由程序生成，请勿手改。先是两份文档的全部接口（谁调用谁、在哪里、由哪个测试证明、待平台方答复的问题），再是每个字段从哪来、到哪去。
Generated, do not edit. First every interface of the two documents: who calls whom, where it is built, which tests prove it, what is open.
Then where every field comes from and goes to.

说明里的 seed 指所依据的接口文档（000 智付当面付，004 联空集成平台），known server 指公开的同类服务。
In the notes, seed means the interface documents (000 SmartPay, 004 LinkingCloud), and the known server a public one of the same family.

`)
	b.WriteString(table)
	b.WriteString(`## 字段 Where every field comes from and goes to

每个平台适配器（包 platforms/smartpay、platforms/fwc）自带字段表，测试保证接口文档的示例和表格中的每个字段都有一行，
也保证“忽略”的字段确实不影响结果。
The adapters carry these tables; tests hold them to every sample and table of the interface documents, and change
each field of a reply to see that what is called ignored matters nothing.

- 接口字段 API：HIS 调用本机接口时的字段。 A field of the agent's own HTTP interface; in a reply, where the value is shown.
- 配置 configuration：见 [KEYS.md](../agent/config/KEYS.md) 与 [drivers.md](drivers.md)。
- 推导 derived：由程序得出或用于核对，不单独给出。 Made or checked by the agent.
- 有意忽略 ignored：读到也不用，原因见说明。 Not used, for the reason given.
`)
	for _, a := range adapters {
		fmt.Fprintf(&b, "\n### %s %s\n", a.ZH, a.EN)
		for i, r := range a.Rows {
			if i == 0 || a.Rows[i-1].Message != r.Message || a.Rows[i-1].Direction != r.Direction {
				title, from := "请求 request", "来源 from"
				if (r.Direction == platforms.FieldRead) != a.Served {
					title = "应答 reply"
				}
				if r.Direction == platforms.FieldRead {
					from = "去向 to"
				}
				fmt.Fprintf(&b, "\n#### %s %s\n\n", r.Message, title)
				head(&b, "字段 field", from, "说明 note")
			}
			source, err := sourceOf(a.Driver, r, find, api)
			if err != nil {
				return "", err
			}
			row(&b, code(r.Field), source, r.Note)
		}
	}
	return b.String(), nil
}

func sourceOf(driver string, r platforms.FieldRow, find func(driver, key string) (string, bool), api func(field string) bool) (string, error) {
	word, rest, _ := strings.Cut(r.Source, " ")
	switch word {
	case "api":
		if !api(rest) {
			return "", fmt.Errorf("%s %s of %s names the field %q, which the interface does not have", r.Message, r.Field, driver, rest)
		}
		return "接口 API " + code(rest), nil
	case "config":
		full, ok := find(driver, rest)
		if !ok {
			return "", fmt.Errorf("%s %s of %s names the configuration key %q, which does not exist", r.Message, r.Field, driver, rest)
		}
		return "配置 " + code(full), nil
	case "derived":
		return "推导 derived", nil
	case "ignored":
		return "有意忽略 ignored", nil
	}
	return "", fmt.Errorf("%s %s of %s has source %q", r.Message, r.Field, driver, r.Source)
}
