package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"

	"payagent/agent/starter"
)

// questions asks for what is missing.
type questions struct {
	in      *bufio.Scanner
	out     io.Writer
	a       starter.Answers
	till    starter.Till
	scanner string
}

// errInput is wrapped where the input ends before the last answer.
var errInput = errors.New("the input ended before every question was answered; give --answers where nobody sits at a keyboard")

// ask asks until the answer is good. An empty answer is the default.
func (q *questions) ask(v *string, zh, en, otherwise string, check func(string) error) error {
	if *v != "" {
		if err := check(*v); err != nil {
			return fmt.Errorf("%w: %s: %w", errUsage, en, err)
		}
		return nil
	}
	hint := ""
	if otherwise != "" {
		hint = " [" + otherwise + "]"
	}
	for {
		if _, err := fmt.Fprintf(q.out, "  %s %s%s: ", zh, en, hint); err != nil {
			return err
		}
		if !q.in.Scan() {
			return errors.Join(errInput, q.in.Err())
		}
		text := strings.TrimSpace(q.in.Text())
		if text == "" {
			text = otherwise
		}
		err := check(text)
		if err == nil {
			*v = text
			return nil
		}
		if _, err := fmt.Fprintf(q.out, "    ✗ %v\n", err); err != nil {
			return err
		}
	}
}

func (q *questions) head(n int, zh, en string) error {
	_, err := fmt.Fprintf(q.out, "\n%d/5 %s %s\n", n, zh, en)
	return err
}

func maybe(check func(string) error) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return check(s)
	}
}

// all asks the five questions.
func (q *questions) all() (starter.Answers, error) {
	for _, ask := range []func() error{q.hardware, q.hospital, q.platform, q.tills, q.scanners} {
		if err := ask(); err != nil {
			return q.a, err
		}
	}
	q.a.Tills = []starter.Till{q.till}
	return q.a, nil
}

func (q *questions) hardware() error {
	if err := q.head(1, "机器", "Hardware"); err != nil {
		return err
	}
	otherwise := "counter"
	if runtime.GOARCH == "arm" || runtime.GOARCH == "arm64" {
		otherwise = "scanbox"
	}
	return q.ask(&q.a.Profile, "scanbox 扫码盒、kiosk 自助机、counter 收费窗口电脑", "scanbox, kiosk or counter", otherwise, starter.CheckProfile)
}

func (q *questions) hospital() error {
	if err := q.head(2, "医院", "Hospital"); err != nil {
		return err
	}
	if err := q.ask(&q.a.HospitalID, "平台分配的医院编号", "the platform's number of the hospital", "", starter.CheckHospitalID); err != nil {
		return err
	}
	return q.ask(&q.a.HospitalName, "显示名称", "name for people", "", starter.CheckName)
}

func (q *questions) platform() error {
	if err := q.head(3, "支付平台", "Payment platform"); err != nil {
		return err
	}
	p := &q.a.Platform
	if err := q.ask(&p.Driver, "fwc 联空、smartpay 智付、lc 联空签名网关", "fwc, smartpay or lc", "fwc", starter.CheckDriver); err != nil {
		return err
	}
	// An address without encryption is asked about once more.
	if err := q.ask(&p.URL, "平台地址", "its address", "", func(s string) error { return starter.CheckURL(s, true) }); err != nil {
		return err
	}
	if strings.HasPrefix(p.URL, "http:") && !p.PlainHTTP {
		yes := ""
		if err := q.ask(&yes, "没有加密，途中任何人都能读取和篡改。确定使用写 yes", "not encrypted, anybody on the way can read and change it; write yes to use it all the same", "", func(s string) error {
			if s != "yes" {
				return errors.New("要加密请重新执行并写 https 地址 / begin again with an https address")
			}
			return nil
		}); err != nil {
			return err
		}
		p.PlainHTTP = true
	}
	switch p.Driver {
	case "smartpay":
		return q.smartpay()
	case "lc":
		return errors.Join(q.ask(&p.AppID, "应用编号 app_id", "app_id", "", starter.CheckCode),
			q.ask(&p.PrivateKey, "商户私钥文件", "file with the merchant's private key", "", starter.CheckName), q.platformKeys())
	}
	if p.TokenFile == "" && p.Merchant == "" {
		if err := q.ask(&p.Token, "授权码 AccessToken（存入单独的文件；已有文件写 @文件名）", "access token (kept in a file of its own; @FILE for one that is there)", "", starter.CheckToken); err != nil {
			return err
		}
		if name, ok := strings.CutPrefix(p.Token, "@"); ok {
			p.Token, p.TokenFile = "", name
		}
	}
	return nil
}

func (q *questions) platformKeys() error {
	text := ""
	err := q.ask(&text, "平台公钥文件（可空）", "file with the platform's public key (may be empty)", "", maybe(starter.CheckName))
	q.a.Platform.PlatformKeys = splitList(text)
	return err
}

func (q *questions) smartpay() error {
	p := &q.a.Platform
	codes := starter.TransactionCodes{}
	if p.TransactionCodes != nil {
		codes = *p.TransactionCodes
	}
	p.TransactionCodes = &codes
	for _, x := range []struct {
		v      *string
		zh, en string
	}{{&p.Merchant, "商户号 MerchCode", "merchant code"}, {&codes.SweepCodePay, "条码付的 TransactionCode", "TransactionCode of the charge"},
		{&codes.QueryOrderState, "查询的 TransactionCode", "TransactionCode of the query"}, {&codes.Revoke, "撤销的 TransactionCode", "TransactionCode of the cancel"}} {
		if err := q.ask(x.v, x.zh, x.en, "", starter.CheckCode); err != nil {
			return err
		}
	}
	return q.ask(&p.ClientID, "接入方编号 ClientId", "client id", "", starter.CheckCode)
}

func (q *questions) tills() error {
	if err := q.head(4, "收费点", "Till"); err != nil {
		return err
	}
	t := &q.till
	name, operator := "w01", "收费员"
	check := maybe(starter.CheckCode)
	if q.a.Profile == "kiosk" {
		name, operator, check = "k01", "自助机", starter.CheckCode
	}
	if err := q.ask(&t.Name, "名称（字母数字，供接口用）", "name (letters and digits, for the interface)", name, starter.CheckTill); err != nil {
		return err
	}
	if err := q.ask(&t.DeviceNo, "平台登记的设备号", "number of the device as the platform knows it", strings.ToUpper(t.Name), starter.CheckCode); err != nil {
		return err
	}
	if err := q.ask(&t.OperatorID, "默认操作员编号（自助机必填，其余可空）", "operator where HIS names none (a kiosk needs one, else may be empty)", "", check); err != nil || t.OperatorID == "" {
		return err
	}
	return q.ask(&t.OperatorName, "操作员姓名", "the operator's name", operator, starter.CheckName)
}

func (q *questions) scanners() error {
	if err := q.head(5, "扫码设备", "Scanner"); err != nil {
		return err
	}
	if q.scanner != "" {
		var err error
		q.till.Scanner, err = scannerOf(q.scanner)
		return err
	}
	found, _ := present() // what cannot be looked at is not offered
	var offers []*starter.Scanner
	for _, f := range found {
		s, ok := scannerFor(f)
		if !ok {
			continue
		}
		offers = append(offers, s)
		if _, err := fmt.Fprintf(q.out, "  %d) %s %s  %s %s\n", len(offers), strings.TrimSpace(f.Maker+" "+f.Model), f.ID(), f.Class, strings.TrimSpace(f.Port+" "+f.Node)); err != nil {
			return err
		}
		if f.Hint.ZH != "" {
			if _, err := fmt.Fprintf(q.out, "     ! %s %s\n", f.Hint.ZH, f.Hint.EN); err != nil {
				return err
			}
		}
	}
	otherwise := "none"
	if len(offers) == 1 && offers[0].Port != "" { // a bare serial port may have nothing on it
		otherwise = "1"
	}
	pick := ""
	return q.ask(&pick, "选上面的编号，或写串口 /dev/…、COM3；没有写 none", "a number from above, a serial port /dev/… or COM3, or none", otherwise, func(text string) error {
		if n, err := strconv.Atoi(text); err == nil {
			if n < 1 || n > len(offers) {
				return fmt.Errorf("没有这个编号。 there is no number %d", n)
			}
			q.till.Scanner = offers[n-1]
			return nil
		}
		s, err := scannerOf(text)
		q.till.Scanner = s
		return err
	})
}
