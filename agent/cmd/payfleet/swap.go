package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"payagent/agent/fleet/ca"
	"payagent/agent/fleet/view"
)

// siteOf is the hospital that is meant where the authority has only one.
func siteOf(a *ca.Authority, site string) (string, error) {
	if sites := a.Sites(); site == "" && len(sites) == 1 {
		return sites[0], nil
	}
	if site == "" {
		return "", fmt.Errorf("%w: name the hospital with --site: %s", errUsage, strings.Join(a.Sites(), ", "))
	}
	return site, nil
}

// succession says which machine of its name a box is, where it is not the
// first, and what the ones before it left.
func (s *session) succession(r view.Row) string {
	text := ""
	if r.Generation > 1 {
		text = s.pick(fmt.Sprintf("第 %d 台", r.Generation), fmt.Sprintf("machine no. %d", r.Generation))
	}
	if r.LeftOpen > 0 {
		text += s.pick(fmt.Sprintf("，前一台的 %d 笔订单未接管", r.LeftOpen), fmt.Sprintf(", %d orders of the one before it not taken over", r.LeftOpen))
	}
	return strings.TrimLeft(text, ", ，")
}

// caSwap makes the code with which a new machine takes the place of a box.
// Nothing happens to the old one before the code is used: then it is the new
// machine's certificate that tells it.
func caSwap(_ context.Context, o caOptions, c console) error {
	a, err := ca.Open(o.dir, time.Now)
	if err != nil {
		return err
	}
	if o.site, err = siteOf(a, o.site); err != nil {
		return err
	}
	o.box = o.words[0]
	was, err := a.Newest(o.site, o.box)
	if err != nil {
		return err
	}
	code, until, enrol, err := newCode(a, o)
	if err != nil {
		return err
	}
	return say(c, `%s

%s/%s：现在是第 %d 代（%s 签发）。用这个码入网的机器接替它；码一用掉，旧机器就停止收款。
%s/%s: generation %d now (issued %s). The machine that enrols with this code takes its place, and the old one stops taking payments.

先把配置里写的令牌、密钥文件从保险柜放到新机器：它们不随配置下发。配置文件用留存的那份，没有就先用安装包自带的。
First bring the files with tokens and keys that the configuration names, from the safe: the fleet never sends those. The configuration is the copy that was kept, or else the package's own for now.

在新机器上执行（%s 前有效，只能用一次）： at the new machine, until %s, once:
  %s
  payagent service stop
  payagent service start

机群下发过配置的：它还在消息服务器上，新机器会暂存，重新下令才生效，因为令牌文件不到位就会退回，它也可能从没生效过。
What the fleet had sent still stands at the broker: the new machine stages it, and uses it by an order only. Without its token files it would be given up, and it may never have been in effect.
  payfleet config get %s --out DOC
  payfleet config apply DOC %s --sign-with KEY

新机器正常以后，吊销旧机器的证书： when the new machine is well, end the old one's certificate:
  payfleet ca revoke --dir %s --site %s --replaced %s
`, code, o.site, o.box, max(1, was.Generation), was.At.Format("2006-01-02"), o.site, o.box, max(1, was.Generation), was.At.Format("2006-01-02"),
		until, until, enrol, o.box, o.box, o.dir, o.site, o.box)
}
