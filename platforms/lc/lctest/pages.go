package lctest

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"path"
	"strings"

	"payagent/platforms"
	"payagent/platforms/bank"
)

// pages serves what a payer's browser sees of the gateway: the page to which
// goto_url leads, and the one of 医保授权. ok tells whether the address is one of
// them.
//
//	GET  …/goto/NUMBER              the page of an order, with its buttons
//	POST …/goto/NUMBER              do=pay or do=leave, then back to return_url
//	GET  …/oauth2/medicareAuth      grants at once, back to redirect_uri
func (g *Gateway) pages(w http.ResponseWriter, r *http.Request) bool {
	dir, last := path.Split(r.URL.Path)
	switch {
	case strings.HasSuffix(dir, "/goto/") && r.Method == http.MethodGet:
		g.cashier(w, last)
	case strings.HasSuffix(dir, "/goto/") && r.Method == http.MethodPost:
		g.pressed(w, r, last)
	case last == "medicareAuth" && r.Method == http.MethodGet:
		g.authorise(w, r)
	default:
		return false
	}
	return true
}

func (g *Gateway) cashier(w http.ResponseWriter, no string) {
	t, found := g.bank.Query(g.ctl.Now(), no)
	if !found || !t.Present {
		http.Error(w, "no such order", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action *")
	fmt.Fprintf(w, `<!DOCTYPE html><html lang="zh"><meta charset="utf-8"><title>测试收银台 TEST</title>
<h1>测试收银台，没有真实资金 TEST: no real money</h1><p>订单 order %s</p><p>金额 amount %d.%02d 元 yuan</p>
<form method="post"><button name="do" value="pay">支付 pay</button> <button name="do" value="leave">取消 leave</button></form></html>
`, html.EscapeString(no), t.Amount/100, t.Amount%100)
}

func (g *Gateway) pressed(w http.ResponseWriter, r *http.Request, no string) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
	do := r.PostFormValue("do")
	now := g.ctl.Now()
	t, found := g.bank.Query(now, no)
	if !found || !t.Present || do != "pay" && do != "leave" {
		http.Error(w, "no such order", http.StatusNotFound)
		return
	}
	if do == "pay" {
		wallet := t.Channel
		if wallet == "" {
			wallet = platforms.Alipay
		}
		t = g.bank.Scan(now, no, bank.Payer{Channel: wallet})
	}
	back := g.Return(t, do == "leave", now)
	if back == "" {
		http.Error(w, "the order has no return_url", http.StatusOK)
		return
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

func (g *Gateway) authorise(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	if q.Get("app_id") != g.opt.AppID || q.Get("open_id") == "" || q.Get("state") == "" || err != nil || to.Host == "" {
		http.Error(w, "app_id, open_id, state and redirect_uri are needed", http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, withQuery(to.String(), url.Values{"auth_code": {AuthCode(q.Get("open_id"))}, "state": {q.Get("state")}}.Encode()), http.StatusSeeOther)
}

// AuthCode is what a payer's browser brings back from 医保授权.
func AuthCode(openID string) string { return "AUTH" + fmt.Sprint(len(openID)) + "OK" + openID }
