package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"payagent/agent/fleet/ca"
)

// caRevoke ends certificates. A box that is named once is not stopped: a till
// must not be lost by a slip of the fingers.
func caRevoke(_ context.Context, o caOptions, c console) error {
	what := o.words[0]
	if o.stop != "" && (o.stop != what || o.replaced) {
		return fmt.Errorf("%w: to stop a box write its name twice: payfleet ca revoke %s --stop %s", errUsage, what, what)
	}
	a, err := ca.Open(o.dir, time.Now)
	if err != nil {
		return err
	}
	if o.stop != "" || o.replaced {
		if o.site, err = siteOf(a, o.site); err != nil {
			return err
		}
	}
	var ended []ca.Issued
	switch {
	case o.stop != "":
		ended, err = a.Stop(o.site, what, cmp.Or(o.reason, "stopped"))
	case o.replaced:
		ended, err = a.RevokeReplaced(o.site, what, cmp.Or(o.reason, "replaced"))
	default:
		ended, err = a.Revoke(what, o.reason)
	}
	if err != nil {
		return err
	}
	box := ""
	for _, i := range ended {
		if i.Kind == ca.KindBox {
			box = i.Name
		}
		if err := say(c, "已吊销 revoked: %s %s %s\n", i.Kind, i.Name, i.Serial); err != nil {
			return err
		}
	}
	text := `请把 CRL 复制给消息服务器：payfleet broker --crl 几秒内断开并拒绝它们；mosquitto（crlfile）要重启才断开。
Copy CRL to the broker: payfleet broker --crl throws them off within seconds; mosquitto (crlfile) must be restarted for that.
`
	switch {
	case box == "" || o.replaced:
	case o.stop != "":
		text += `
BOX 被断开后一分钟内向发证机（payfleet ca serve，要开着）问到自己已停用，从此不再收款，重启也一样；未结订单只查询，等下一台接管。
它连不上发证机就不知道：请关机。被偷的机器里有支付平台的令牌：请到平台更换。恢复：payfleet ca swap BOX，在机器上重新入网。
Within a minute after the broker has thrown it off, BOX asks the authority (payfleet ca serve must run), finds that it was stopped and takes no payment any more, over restarts too; what it has open waits for the next machine.
Where it cannot reach the authority it does not know: switch it off. A stolen one holds the platforms' tokens: change them there. To bring it back: payfleet ca swap BOX, and enrol it anew.
`
	default:
		text += `
BOX 只是离开了机群：它自己连支付平台，仍能收款（经 payfleet relay 的除外）。要停止收款：payfleet ca revoke --dir DIR BOX --stop BOX
被偷的机器里有支付平台的令牌：请到平台更换。
BOX has left the fleet and no more: it calls the platforms by itself and still takes payments (but for those through payfleet relay). To stop that: the command above.
A stolen one holds the platforms' tokens: change them there.
`
	}
	return say(c, "%s", strings.NewReplacer("CRL", filepath.Join(o.dir, "crl.pem"), "DIR", o.dir, "BOX", box).Replace(text))
}
