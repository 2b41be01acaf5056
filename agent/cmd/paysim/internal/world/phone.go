package world

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"time"

	"payagent/platforms"
	"payagent/platforms/bank"
)

// ByAmount is the behaviour that leaves the choice to the amount, see
// [Scenarios].
const ByAmount = -1

// CodeLife is how long a payment code can be used, in the world's time; real
// wallets change theirs about once a minute.
const CodeLife = 60 * time.Second

// maxCodes bounds the codes that are remembered; the oldest go first.
const maxCodes = 20_000

// Wallets lists the wallets that a phone has.
func Wallets() []platforms.Channel {
	return []platforms.Channel{platforms.WeChat, platforms.Alipay, platforms.UnionPay}
}

// code is a payment code that a phone made.
type code struct {
	wallet platforms.Channel
	behave int
	until  time.Duration
	used   bool
}

// Code is a payment code with what it is good for. The text is a pretend one
// and worth nothing.
type Code struct {
	Text   string
	Wallet platforms.Channel
	Life   time.Duration // left, in the world's time
}

// ErrWallet is wrapped when a phone has no such wallet.
var ErrWallet = errors.New("choose wechat, alipay or unionpay")

// ErrBehave is wrapped when nobody behaves so.
var ErrBehave = errors.New("choose a behaviour of the table, 0 or 90 to 99, or -1 for by amount")

// NewCode makes a fresh payment code whose owner behaves as a line of
// [Scenarios] says, or by amount.
func (w *World) NewCode(wallet platforms.Channel, behave int) (Code, error) {
	if err := checkBehave(behave); err != nil {
		return Code{}, err
	}
	text, err := w.digits(wallet)
	if err != nil {
		return Code{}, err
	}
	now := w.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.codes[text] = &code{wallet: wallet, behave: behave, until: now + CodeLife}
	w.queue = append(w.queue, text)
	for len(w.queue) > maxCodes {
		delete(w.codes, w.queue[0])
		w.queue = w.queue[1:]
	}
	return Code{Text: text, Wallet: wallet, Life: CodeLife}, nil
}

// digits draws a text that is a payment code of the wallet by the rules of the
// wallets' documents, not a 身份证 number and not a magic one.
func (w *World) digits(wallet platforms.Channel) (string, error) {
	head, length := "", 18
	switch wallet {
	case platforms.WeChat:
		head = "13"
	case platforms.Alipay:
		head = "28"
	case platforms.UnionPay:
		head, length = "62", 19
	default:
		return "", fmt.Errorf("cannot make a payment code of %q: %w", wallet, ErrWallet)
	}
	// One of about 25,000 draws is refused; more in a row mean a broken source.
	for range 100 {
		raw := make([]byte, length-len(head))
		if _, err := io.ReadFull(w.opt.Rand, raw); err != nil {
			return "", fmt.Errorf("cannot draw a payment code: %w", err)
		}
		for i := range raw {
			raw[i] = '0' + raw[i]%10
		}
		text := head + string(raw)
		sc := platforms.DefaultRules().Recognise(text, "")
		if sc.Payable && sc.Channel == wallet && text[2:8] != bank.MagicCode(wallet, 0)[2:8] && !w.knows(text) {
			return text, nil
		}
	}
	return "", errors.New("cannot draw a payment code: the source of chance gives no usable digits")
}

func (w *World) knows(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.codes[text] != nil
}

// Script says what happens to an order, for the simulators: by the phone that
// made the code, else by bank.ScriptFor. A phone's code is good once and for
// [CodeLife]; after that it is refused as expired or used.
func (w *World) Script(amount platforms.Fen, text string) bank.Script {
	now := w.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.codes[text]
	if c == nil {
		return bank.ScriptFor(amount, text)
	}
	if c.used || now > c.until {
		return bank.Script{Payer: bank.Payer{BadCode: true, Channel: c.wallet}}
	}
	c.used = true
	return script(amount, c.wallet, c.behave)
}

func script(amount platforms.Fen, wallet platforms.Channel, behave int) bank.Script {
	if behave != ByAmount {
		amount = platforms.Fen(behave)
	}
	s := bank.ScriptFor(amount, "")
	s.Payer.Channel = wallet
	return s
}

func checkBehave(behave int) error {
	if behave == ByAmount {
		return nil
	}
	for _, s := range Scenarios() {
		if s.N == behave {
			return nil
		}
	}
	return fmt.Errorf("cannot behave as %d: %w", behave, ErrBehave)
}

// QRText is the text of the QR code of an order.
func QRText(orderNo string) string {
	return "https://qr.paysim.invalid/pay?o=" + url.QueryEscape(orderNo)
}

// orderOf reads an order number out of the text of a QR code, or of the address
// of a page; a text that is no address counts as the number itself.
func orderOf(text string) string {
	u, err := url.Parse(text)
	switch {
	case err == nil && u.Host == "qr.paysim.invalid":
		return u.Query().Get("o")
	case err == nil && u.Host != "" && strings.Contains(u.Path, "/goto/"):
		return path.Base(u.Path)
	}
	return text
}

// ErrNoQR is wrapped when a phone reads a QR code that nobody shows.
var ErrNoQR = errors.New("there is no such QR code at the platform")

// ErrWrongWallet is wrapped when a QR code belongs to another wallet.
var ErrWrongWallet = errors.New("take the phone's other wallet")

// Pay is a phone that reads a QR code (its text or the order number) and whose
// owner behaves as said. The trade tells what became of it.
func (w *World) Pay(qr string, wallet platforms.Channel, behave int) (Order, error) {
	if err := checkBehave(behave); err != nil {
		return Order{}, err
	}
	known := false
	for _, c := range Wallets() {
		known = known || c == wallet
	}
	if !known {
		return Order{}, fmt.Errorf("cannot pay with %q: %w", wallet, ErrWallet)
	}
	no, now := orderOf(qr), w.Now()
	t, found := w.bank.Query(now, no)
	if !found || !t.Present {
		return Order{}, fmt.Errorf("cannot pay: %w", ErrNoQR)
	}
	if t.Channel != "" && t.Channel != wallet {
		return Order{}, fmt.Errorf("cannot pay a QR code of %s with %s: %w", t.Channel, wallet, ErrWrongWallet)
	}
	w.bank.Scan(now, no, script(t.Amount, wallet, behave).Payer)
	truth, err := w.Truth()
	if err != nil {
		return Order{}, err
	}
	for _, o := range truth.Orders {
		if o.OrderNo == no {
			return o, nil
		}
	}
	return Order{}, fmt.Errorf("cannot pay: %w", ErrNoQR)
}

// QR is a QR code that is being shown somewhere.
type QR struct {
	Text      string            `json:"qr"`
	OrderNo   string            `json:"order_no"`
	AmountFen platforms.Fen     `json:"amount_fen"`
	Channel   platforms.Channel `json:"channel"` // empty: any wallet
}

// OpenQRs lists the QR codes that can still be paid, newest first.
func (w *World) OpenQRs() ([]QR, error) {
	truth, err := w.Truth()
	list := []QR{}
	born := map[string]int64{}
	for _, o := range truth.Orders {
		if o.Mode != platforms.ModePresent || o.State != bank.Unpaid {
			continue
		}
		born[o.OrderNo] = o.CreatedMS
		at := 0
		for at < len(list) && born[list[at].OrderNo] > o.CreatedMS {
			at++
		}
		list = append(list[:at], append([]QR{{QRText(o.OrderNo), o.OrderNo, o.AmountFen, o.Channel}}, list[at:]...)...)
	}
	return list, err
}
