package smartpay

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"payagent/platforms"
)

// Transport names one of the ways in which public SmartPay servers take calls.
type Transport string

// The transports.
const (
	// WSGWSOAP is the SOAP 1.1 gateway whose api argument has the form of the
	// seed's method names; the default.
	WSGWSOAP Transport = "wsgw_soap"
	// FormGateway is the form post of the later servers:
	// {base}/wsgw/{module}/{name}/{method}/call.do, token in a header, the
	// reply inside a JSON wrapper.
	FormGateway Transport = "form_gateway"
	// RawXMLPost posts the Req document as it stands and reads a bare Resp.
	RawXMLPost Transport = "raw_xml_post"
)

// QueryKey says which number the platform looks an order up by.
type QueryKey string

// The query keys. The seed calls the OrderId of a query "His订单号/处方号" while
// the known server looks up its own OrderId; only a site's drill can tell.
const (
	ByOrderID    QueryKey = "order_id"     // the platform's OrderId; our number only where no OrderId is known
	ByHisOrderID QueryKey = "his_order_id" // our number, proven at this site
	ByBoth       QueryKey = "both"         // the OrderId first, then our number, both proven
)

// TransactionCodes holds the TransactionCode of each method. The seed demands
// them and never says their values, so there is no default: ask the operator
// of the platform.
type TransactionCodes struct {
	SweepCodePay    string
	QueryOrderState string
	Revoke          string
}

// Config describes one SmartPay platform.
type Config struct {
	// Endpoint is the full address for wsgw_soap and raw_xml_post, and the base
	// before /wsgw for form_gateway. No user, query or fragment. In that of
	// raw_xml_post "{method}" stands for SweepCodePay, QueryOrderState or Revoke.
	Endpoint  string
	Transport Transport // default wsgw_soap

	ClientID      string // authInfo's ClientId, required for wsgw_soap
	ClientVersion string // authInfo's ClientVersion, default "1.0"

	TransactionCodes TransactionCodes
	QueryKey         QueryKey // default order_id

	// CardTypes maps the API's card types, ServiceIDs the API's order types,
	// EqptTypes the till kinds to the wire's values. Nil takes the defaults; a
	// table that is given replaces the default wholly.
	CardTypes  map[string]string
	ServiceIDs map[string]string
	EqptTypes  map[string]string

	// FailureCodes are further negative RespCodes of SweepCodePay that the
	// operator of the platform has confirmed in writing to mean "nothing was
	// charged". Numbers are reused between layers, so none is assumed.
	FailureCodes []int

	// Charset of requests: "utf-8" (default) or "gbk".
	Charset string

	// Token gives the access token of a merchant profile for form_gateway. It
	// is called for every request, so that a new token needs no restart.
	Token func(profile string) (platforms.Hidden, error)

	// Probe is the merchant that Probe asks under. Without a code there is no
	// probing.
	Probe platforms.Merchant

	// Now is the wall clock for sequenceNo; default time.Now.
	Now func() time.Time
}

// DefaultCardTypes maps the API's card types to wire.md §1.3's CardType.
func DefaultCardTypes() map[string]string {
	return map[string]string{
		"medical_card":   "1",  // 就诊卡
		"id_card":        "2",  // 身份证
		"passport":       "3",  // 护照
		"insurance_card": "12", // 医保卡
		"other":          "13", // 其它
		"admission_no":   "14", // 住院号
		"phone":          "15", // 手机号
	}
}

// DefaultServiceIDs maps the API's order types to the ServiceId values seen at
// the known server. Order types without one are refused until configured.
func DefaultServiceIDs() map[string]string {
	return map[string]string{
		"APPOINTMENT":     "0",   // 挂号
		"TREATMENT":       "008", // 诊间
		"HOSPITALIZATION": "007", // 住院充值
		"DEPOSIT":         "006", // 门诊充值
	}
}

// DefaultEqptTypes maps till kinds to the seed's EqptType; what is not listed
// is 5 (扫码枪).
func DefaultEqptTypes() map[string]string {
	return map[string]string{"kiosk": "2"} // MINI机
}

const otherEqptType = "5"

func (c Config) withDefaults() Config {
	if c.Transport == "" {
		c.Transport = WSGWSOAP
	}
	if c.ClientVersion == "" {
		c.ClientVersion = "1.0"
	}
	if c.QueryKey == "" {
		c.QueryKey = ByOrderID
	}
	if c.CardTypes == nil {
		c.CardTypes = DefaultCardTypes()
	}
	if c.ServiceIDs == nil {
		c.ServiceIDs = DefaultServiceIDs()
	}
	if c.EqptTypes == nil {
		c.EqptTypes = DefaultEqptTypes()
	}
	if c.Charset == "" {
		c.Charset = "utf-8"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c Config) validate() error {
	bad := func(key, why string) error {
		return fmt.Errorf("cannot use the SmartPay configuration: %s: %s", key, why)
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil:
		// The parser's own error quotes the address, which may hold a password.
		return bad("endpoint", "is not an address; write https://host/path")
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return bad("endpoint", "must be http:// or https:// with a host")
	case u.User != nil, u.RawQuery != "", u.Fragment != "", u.ForceQuery:
		return bad("endpoint", "must have no user, query or fragment; tokens are configured by profile")
	}
	switch c.Transport {
	case WSGWSOAP:
		if c.ClientID == "" {
			return bad("client_id", "is required by wsgw_soap; ask the operator of the platform")
		}
	case FormGateway:
		if c.Token == nil {
			return bad("token", "is required by form_gateway")
		}
	case RawXMLPost:
	default:
		return bad("transport", "must be wsgw_soap, form_gateway or raw_xml_post")
	}
	for _, t := range []struct{ key, code string }{
		{"transaction_codes.sweep_code_pay", c.TransactionCodes.SweepCodePay},
		{"transaction_codes.query_order_state", c.TransactionCodes.QueryOrderState},
		{"transaction_codes.revoke", c.TransactionCodes.Revoke},
	} {
		if !isDigits(t.code) || len(t.code) > 9 {
			return bad(t.key, "must be 1 to 9 digits; the interface document does not give the value, ask the operator of the platform")
		}
	}
	switch c.QueryKey {
	case ByOrderID, ByHisOrderID, ByBoth:
	default:
		return bad("query_key", "must be order_id, his_order_id or both")
	}
	switch c.Charset {
	case "utf-8", "gbk":
	default:
		return bad("charset", "must be utf-8 or gbk")
	}
	for _, code := range c.FailureCodes {
		if err := checkFailureCode(code); err != nil {
			return bad("failure_codes", err.Error())
		}
	}
	for _, t := range []struct {
		key   string
		table map[string]string
	}{{"card_types", c.CardTypes}, {"service_ids", c.ServiceIDs}, {"eqpt_types", c.EqptTypes}} {
		for word, value := range t.table {
			if strings.TrimSpace(word) == "" || strings.TrimSpace(value) == "" {
				return bad(t.key, "has an empty word or value")
			}
		}
	}
	return nil
}

// checkFailureCode refuses codes that are known not to prove a failure.
func checkFailureCode(code int) error {
	if code >= 0 {
		return fmt.Errorf("%d is not negative; only negative codes are failures", code)
	}
	if code == codePaying || code == codeTwoMeanings || slices.Contains(unspecifiedCodes(), code) {
		return fmt.Errorf("%d also answers orders that are or may become paid; remove it", code)
	}
	return nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

var errNoRoundTripper = errors.New("cannot make a SmartPay platform: no http.RoundTripper was given")
