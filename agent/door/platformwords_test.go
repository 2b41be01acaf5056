package door_test

import (
	"strings"
	"testing"

	"payagent/agent/agenttest"
	"payagent/agent/config"
	"payagent/agent/door"
	"payagent/platforms"
)

// A platform's code comes with its words; one that nobody has put in the
// catalogue shows the platform's own, and is counted (PAY-22).
func TestPlatformCodesHaveWords(t *testing.T) {
	smart := func(o *agenttest.Options, _ *door.Options) {
		o.Config = func(c *config.Config) {
			c.Metrics.Enabled = true
			for i := range c.Platforms {
				c.Platforms[i].Driver = "smartpay"
			}
		}
	}
	inBubbleWith(t, smart, func(t *testing.T, r *rig) {
		say := func(code, message string) func(platforms.Charge) (platforms.Answer, error) {
			return func(c platforms.Charge) (platforms.Answer, error) {
				return platforms.Answer{Status: platforms.Failed, OrderNo: c.OrderNo, Code: code, Message: message}, nil
			}
		}
		counted := func() bool {
			return strings.Contains(string(r.call("GET", "/metrics", admin, nil).want(200, "").raw), `payagent_unmapped_codes_total{adapter="full",op="charge"} 1`)
		}
		bank := r.w.Banks["full"]
		bank.OnCharge(say("-400010", "二维码已失效"))
		id := r.create(bill("B1", object{"auth_code": wechatCode})).want(201, "").id()
		r.until(id, "failed").is("platform_words.known", true).is("platform_words.cashier.zh", "付款码已失效").
			is("platform_words.action.en", "Close this page, let the patient refresh the code and scan again").is("platform_message", "二维码已失效")
		if counted() {
			t.Error("a known code was counted")
		}
		bank.OnCharge(say("-777", "今日额度已用完"))
		id = r.create(bill("B2", object{"auth_code": alipayCode})).want(201, "").id()
		r.until(id, "failed").is("platform_words.known", false).is("platform_words.cashier.zh", "支付平台返回：今日额度已用完（代码 -777）").is("platform_code", "-777")
		if !counted() {
			t.Error("an unknown code was not counted")
		}
	})
}
