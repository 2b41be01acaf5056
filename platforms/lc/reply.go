package lc

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"payagent/platforms"
	"payagent/platforms/internal/strictjson"
	"payagent/platforms/internal/wire"
	"payagent/platforms/lc/internal/sign"
)

// reply is a reply that was verified, or not, and then decoded.
type reply struct {
	// trusted: what it says may end an order. It carries a signature of the
	// platform's, or the site has decided that the way alone vouches for it.
	trusted bool

	code, msg, subCode, subMsg string

	biz     strictjson.Value // Missing if there is none
	secrets []platforms.Hidden
}

// public is the outermost object of a reply.
type public struct {
	values map[string]string // decoded texts and literals; biz_content is not among them
	biz    []byte            // as received, nil if absent or null
}

// open scans the outermost members. What is in biz_content is not looked at.
func open(doc []byte) (public, error) {
	members, err := strictjson.Members(doc)
	if err != nil {
		return public{}, err
	}
	out := public{values: map[string]string{}}
	for _, m := range members {
		switch {
		case m.Value.Kind == strictjson.Null:
		case m.Name == "biz_content":
			if m.Value.Kind != strictjson.Object {
				return public{}, errors.New("its biz_content is no object")
			}
			out.biz = m.Value.Raw
		case m.Value.Kind == strictjson.Object || m.Value.Kind == strictjson.Array:
			out.values[m.Name] = string(m.Value.Raw)
		default:
			out.values[m.Name] = m.Value.Text
		}
	}
	return out, nil
}

// texts gives what may have been signed: biz_content as it was received, and
// the same without blanks (wire.md §3.4).
func (m public) texts(withType bool) [][]byte {
	var all [][]byte
	forms := [][]byte{m.biz}
	if compact := strictjson.Compact(m.biz); !bytes.Equal(compact, m.biz) {
		forms = append(forms, compact)
	}
	for _, biz := range forms {
		params := []sign.Param{{Name: "biz_content", Value: string(biz)}}
		for name, value := range m.values {
			params = append(params, sign.Param{Name: name, Value: value})
		}
		all = append(all, sign.Text(params, withType))
	}
	return all
}

// read verifies a reply over the bytes received, then decodes those bytes, then
// holds app_id, method and nonce to what was asked.
func (p *Platform) read(got wire.Reply, asked envelope) (reply, error) {
	if got.Charset != "" && got.Charset != "utf-8" && got.Charset != "utf8" {
		return reply{}, unusable(errors.New("it is not declared as UTF-8"))
	}
	m, err := open(got.Body)
	if err != nil {
		return reply{}, unusable(err)
	}
	trusted, err := p.verify(m)
	if err != nil {
		return reply{}, unusable(err)
	}
	r := reply{trusted: trusted, code: m.values["code"], msg: m.values["msg"]}
	if m.biz != nil {
		if r.biz, err = strictjson.Parse(m.biz); err != nil {
			return reply{}, unusable(err)
		}
	}
	for _, x := range []struct{ field, name, want string }{
		{"app_id", "app_id", p.cfg.AppID}, {"method", "method", asked.method}, {"nonce", "nonce_str", asked.nonce},
	} {
		got := m.values[x.name]
		if got == "" && !trusted {
			continue // nothing of it will be believed
		}
		if got != x.want {
			return reply{}, &platforms.Mismatch{Field: x.field, Asked: x.want, Got: first(clip(wire.Clean(got)), "nothing")}
		}
	}
	return r, r.read(map[string]*string{"sub_code": &r.subCode, "sub_msg": &r.subMsg})
}

// verify tells whether a reply may be believed. A signature that does not fit
// is an error; a missing one is, where the policy is strict.
func (p *Platform) verify(m public) (bool, error) {
	if p.cfg.VerifyReply == VerifyOff {
		return true, nil
	}
	if m.values["sign"] == "" {
		if p.cfg.VerifyReply == VerifyStrict {
			return false, errUnsigned
		}
		return false, nil
	}
	err := sign.Verify(p.keys, sign.Hash(p.cfg.Hash), m.values["sign"], m.texts(!p.cfg.ExcludeSignType)...)
	return err == nil, err
}

// read reads members of biz_content that may be missing or null; texts and
// numbers are read alike, blanks around them are cut.
func (r reply) read(into map[string]*string) error {
	return readInto(r.biz, into)
}

func readInto(biz strictjson.Value, into map[string]*string) error {
	for name, v := range into {
		s, err := biz.Get(name).Scalar()
		if err != nil {
			return unusable(fmt.Errorf("%s: %w", name, err))
		}
		*v = strings.TrimSpace(s)
	}
	return nil
}

// worked tells whether the gateway says that it did its work. That says nothing
// about money. The seed's samples leave code and msg empty.
func (p *Platform) worked(r reply) bool {
	return strings.EqualFold(r.msg, "success") || slices.Contains(p.cfg.SuccessCodes, r.code) || r.code == "" && r.msg == ""
}

// refusedUs tells whether a signed reply says that our credentials were refused.
func (p *Platform) refusedUs(r reply) bool {
	return r.trusted && (slices.Contains(p.cfg.CredentialCodes, r.code) || slices.Contains(p.cfg.CredentialCodes, r.subCode))
}

// number gives the platform's own code: sub_code, else the status word, else
// code.
func (r reply) number(status string) string {
	for _, s := range []string{r.subCode, status, r.code} {
		if s != "" {
			return wire.Clean(s, r.secrets...)
		}
	}
	return ""
}

// words are the platform's words for people. A reply that nobody signed says
// so, because it is not believed.
func (r reply) words() string {
	s := wire.Clean(first(r.subMsg, r.msg), r.secrets...)
	if !r.trusted {
		s = strings.TrimSpace(s + " (未签名 unsigned)")
	}
	return s
}

// orderNo gives the number that the reply speaks of, fit to be shown.
func (r reply) orderNo(ours, got string) string {
	if got == "" || got == ours {
		return got
	}
	cleaned := wire.Clean(got, r.secrets...)
	if cleaned == ours || cleaned == "" {
		return "[" + cleaned + "]"
	}
	return cleaned
}

var tradeNoForm = regexp.MustCompile(`^[0-9A-Za-z_.|*-]{1,64}$`)

// tradeNo gives the wallet's number, or nothing where what stands there cannot
// be one.
func (r reply) tradeNo(s string) string {
	for _, h := range r.secrets {
		if t := h.Reveal(); len(t) >= 4 && strings.Contains(s, t) {
			return ""
		}
	}
	if !tradeNoForm.MatchString(s) {
		return ""
	}
	return s
}

// money reads an amount of a reply, in yuan; false if there is none.
func money(name, s string) (platforms.Fen, bool, error) {
	if s == "" {
		return 0, false, nil
	}
	f, err := platforms.ParseYuan(s)
	if err != nil {
		return 0, false, unusable(fmt.Errorf("%s: %w", name, err))
	}
	return f, true, nil
}

// channel reads a payment_type.
func (p *Platform) channel(word string) platforms.Channel { return p.channels[strings.ToLower(word)] }

// wallClock reads a time of the platform's clock, UTC+8. The seed's sample has
// two blanks in one of them.
func wallClock(s string) (time.Time, bool) {
	s = strings.Join(strings.Fields(s), " ")
	for _, layout := range []string{timeLayout, "20060102150405", "2006/1/2 15:04:05", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, zone()); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func paidAt(all ...string) time.Time {
	for _, s := range all {
		if t, ok := wallClock(s); ok {
			return t
		}
	}
	return time.Time{}
}

// maxShown is the length in bytes above which a text is no address to pay at;
// maxPayString that of paystr (2000 characters).
const (
	maxShown     = 1024
	maxPayString = 4 * 2000
)

func showable(s string, limit int) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, unicode.IsControl)
}

func clip(s string) string {
	if r := []rune(s); len(r) > 32 {
		return string(r[:32]) + "…"
	}
	return s
}
