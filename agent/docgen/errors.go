package docgen

import (
	"fmt"
	"strconv"
	"strings"

	"payagent/agent/words"
)

// ErrorsPage is docs/errors.md: what each code of the platforms and of the
// agent's own answers means to whom, in both languages (PAY-22). status gives
// the HTTP status of a problem's code, and after how many seconds asking again
// makes sense.
func ErrorsPage(c words.Catalogue, status func(code string) (int, int64)) string {
	var b strings.Builder
	b.WriteString(`# 错误与代码 Errors and codes

由程序生成，请勿手改。每个代码对患者、收费员、信息科各说什么，收费员下一步做什么。文字来自包 agent/words，可能改进；代码不变，程序只比较代码。
Generated, do not edit. What each code means to patient, cashier and IT, and what the cashier does next. The words may improve; compare codes only.

- **先看订单状态，再看平台代码。** 能否收现金、能否重新收款只看 ` + "`safe_to_take_cash` 和 `safe_to_retry`" + `；平台代码只解释原因，从不单独决定钱的去向。
  **The order's state comes first.** Whether cash may be taken is said by those two fields alone; a platform's code explains, it never decides by itself.
- 订单和退款里的 ` + "`platform_code`" + `、` + "`platform_message`" + ` 是平台原话，` + "`platform_words`" + ` 是下表里的话（` + "`patient`、`cashier`、`action`、`it`" + `，各有 zh、en）。
  An order and a refund carry the platform's own code and text, and beside them the words of these tables.
- 表中没有的代码：原样显示平台的话和代码，` + "`platform_words.known`" + ` 为 false，指标 ` + "`payagent_unmapped_codes_total`" + ` 加一，日志记下代码。请把它报给我们，补进词表。
  A code that is in no table shows the platform's own text and code, and is counted and logged. Report it, so that it gets words.
- 全部用语（状态、原因、告警等）见 [WORDS.md](../agent/words/WORDS.md)。 All words stand there.
`)
	wire := func(g words.Group, zh, en, what string) {
		fmt.Fprintf(&b, "\n## %s %s\n\n%s\n\n", zh, en, what)
		head(&b, "代码 code", "患者看到 patient", "收费员看到 cashier", "下一步 next action", "信息科 IT")
		for _, code := range c.Codes(g) {
			e, _ := c.Find(g, code)
			row(&b, "`"+code+"`", inBoth(e.Patient), inBoth(e.Cashier), inBoth(e.Next), inBoth(e.IT))
		}
	}
	wire(words.SmartPay, "智付", "SmartPay", "RespCode，以及查询的 OrderState。同一数字在不同层含义不同，所以平台的说明文字总与代码一起保存、显示。\nRespCode, and OrderState of the query. Numbers are reused between layers, so the platform's text is kept and shown with the code.")
	wire(words.FWC, "联空 FWC_IF", "LinkingCloud FWC_IF", "ResponseResult 的 IsSuccess 与 SubCode，查询的 TradeStatus，撤销的 RetryFlag 与 CancelAction。\nIsSuccess and SubCode, TradeStatus of the query, the two flags of a cancel.")
	wire(words.LC, "联空 lc.* 网关", "LinkingCloud gateway lc.*", "网关的 code，业务的 sub_code 与 trade_status，撤销的 retry_flag 与 action。\nThe gateway's code, sub_code and trade_status, the two flags of lc.trade.cancel.")
	wire(words.Served, "对账接口（由本机提供）", "Reconciliation interfaces that the agent serves", "IF_Get_Hospital_Trade_List 与 HIS_IF_Query 的应答代码，由对账平台读取。\nCodes of our answers there; the reconciling platform reads them.")
	b.WriteString("\n## 本机接口的错误 Problems of the agent's own interface\n\nproblem+json（RFC 9457）的 `code`。 The `code` of a problem.\n\n")
	head(&b, "代码 code", "HTTP", "患者看到 patient", "收费员看到 cashier", "下一步 next action", "信息科 IT")
	for _, code := range c.Codes(words.Problem) {
		e, _ := c.Find(words.Problem, code)
		n, again := status(code)
		text := strconv.Itoa(n)
		if again > 0 {
			text += fmt.Sprintf("\nRetry-After %d", again)
		}
		row(&b, "`"+code+"`", text, inBoth(e.Patient), inBoth(e.Cashier), inBoth(e.Next), inBoth(e.IT))
	}
	return b.String()
}

// inBoth puts the two languages of a text under each other.
func inBoth(t words.Text) string {
	if t.ZH == t.EN {
		return t.ZH
	}
	return t.ZH + "\n" + t.EN
}
