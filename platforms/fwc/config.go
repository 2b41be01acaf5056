package fwc

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strings"

	"payagent/platforms"
	"payagent/platforms/fwc/internal/message"
)

// Transport is the way in which the one string of a call travels.
type Transport string

// The transports. The live service is SOAP; the others are for fronts that a
// hospital puts before it.
const (
	SOAP11     Transport = "soap11" // the default
	SOAP12     Transport = "soap12"
	RawXMLPost Transport = "raw_xml_post" // the document itself is the body
	FormXML    Transport = "form_xml"     // the document is one form field
)

// Unit is the unit of TotalAmount on the wire.
type Unit string

// The units. Seed 004 states yuan only for refunds; every other source agrees
// with it, and a site that differs finds out with its 0.01 yuan test.
const (
	UnitYuan Unit = "yuan" // d.dd, the default
	UnitFen  Unit = "fen"  // whole fen
)

// FallbackCardNo sends patient.card_no as InhospitalNo where a patient has no
// admission number.
const FallbackCardNo = "card_no"

// Config says how to speak to one LinkingCloud service. The zero value of a
// field means its default.
type Config struct {
	// Endpoint is the URL of the service. For raw_xml_post and form_xml the
	// operation's name takes the place of "{op}", or is appended as the last
	// path element where there is none.
	Endpoint  string
	Transport Transport
	// Namespace is the target namespace, default "http://tempuri.org/";
	// ActionPrefix stands before the operation's name in the SOAP action,
	// default the namespace; ParamName is the string parameter, default "xml".
	Namespace    string
	ActionPrefix string
	ParamName    string
	// OmitEmpty leaves optional elements without a value out. The examples of
	// seed 004 send them empty, and so does the default.
	OmitEmpty bool
	// BarcodePayTypes and QRPayTypes are the words for PayType per interface;
	// the seed spells them differently for the two.
	BarcodePayTypes map[platforms.Channel]string
	QRPayTypes      map[platforms.Channel]string
	AmountUnit      Unit
	// OrderTypes maps the API's order_type to OrderType.
	OrderTypes map[string]string
	// CancelOp cancels QR orders. The seed uses the barcode operation for both;
	// the live service has FWC_IF_Qrcode_Pay_Cancel as well.
	CancelOp string
	// Cnt is the number of queries the platform makes by itself during a pay
	// call; empty leaves the element out.
	Cnt string
	// HospitalID goes out with refunds and is compared with query answers.
	HospitalID string
	// InhospitalFallback is empty or FallbackCardNo.
	InhospitalFallback string
	// RefundRefusals are the SubCodes that prove, together with IsSuccess 0,
	// that a refund moved no money. The platform publishes no such list, so it
	// is empty until the site has one in writing.
	RefundRefusals []string
	// ProbeProfile is the merchant profile that Probe asks with.
	ProbeProfile string
	// Token gives the AccessToken of a merchant profile. It is called for every
	// request, so that a new token needs no restart. Required.
	Token func(profile string) (platforms.Hidden, error)
}

// OrderTypes gives the default table: the seed's eight words, and DEPOSIT for
// 预交金, which the seed lacks and which is paid for a stay.
func OrderTypes() map[string]string {
	t := map[string]string{"DEPOSIT": "HOSPITALIZATION"}
	for _, w := range []string{
		"APPOINTMENT", "TREATMENT", "HOSPITALIZATION", "ONLINE_CONSULTATION",
		"NUCLEIC_ACID_TEST", "BODY_TEST", "SCAN_TO_ORDER", "COMMERCIAL_OTHERS",
	} {
		t[w] = w
	}
	return t
}

// BarcodePayTypes gives the default words of §5.1 to §5.4.
func BarcodePayTypes() map[platforms.Channel]string {
	return map[platforms.Channel]string{platforms.WeChat: "weixin", platforms.Alipay: "alipay", platforms.UnionPay: "unionpay"}
}

// QRPayTypes gives the default words of §5.5.
func QRPayTypes() map[platforms.Channel]string {
	return map[platforms.Channel]string{platforms.WeChat: "WeiXin", platforms.Alipay: "Alipay", platforms.UnionPay: "unionpay"}
}

var (
	opName   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
	cntForm  = regexp.MustCompile(`^[0-9]{1,4}$`)
	typeWord = regexp.MustCompile(`^[0-9A-Za-z_]+$`)
)

// complete checks the configuration and fills in the defaults.
func (c Config) complete() (Config, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return c, errors.New("cannot use endpoint: write a URL such as https://host:9001/linkingif.asmx, without user name")
	}
	if c.Token == nil {
		return c, errors.New("cannot go without a token: name the profile's AccessToken")
	}
	set := func(v *string, def string) {
		if *v == "" {
			*v = def
		}
	}
	set((*string)(&c.Transport), string(SOAP11))
	set((*string)(&c.AmountUnit), string(UnitYuan))
	set(&c.Namespace, "http://tempuri.org/")
	set(&c.ActionPrefix, c.Namespace)
	set(&c.ParamName, "xml")
	set(&c.CancelOp, message.OpCancel)
	switch c.Transport {
	case SOAP11, SOAP12, RawXMLPost, FormXML:
	default:
		return c, fmt.Errorf("cannot use transport %q: choose soap11, soap12, raw_xml_post or form_xml", c.Transport)
	}
	if c.AmountUnit != UnitYuan && c.AmountUnit != UnitFen {
		return c, fmt.Errorf("cannot use amount_unit %q: choose yuan or fen", c.AmountUnit)
	}
	if c.InhospitalFallback != "" && c.InhospitalFallback != FallbackCardNo {
		return c, fmt.Errorf("cannot use inhospital_fallback %q: choose card_no or leave it out", c.InhospitalFallback)
	}
	if c.Cnt != "" && !cntForm.MatchString(c.Cnt) {
		return c, fmt.Errorf("cannot use cnt %q: write a whole number or leave it out", c.Cnt)
	}
	if !opName.MatchString(c.ParamName) || !opName.MatchString(c.CancelOp) {
		return c, errors.New("cannot use param_name or cancel_op: they are names of XML elements")
	}
	if strings.ContainsAny(c.Namespace+c.ActionPrefix, "\"<>\r\n\t ") {
		return c, errors.New("cannot use namespace or action_prefix: they are URIs")
	}
	if c.BarcodePayTypes == nil {
		c.BarcodePayTypes = BarcodePayTypes()
	}
	if c.QRPayTypes == nil {
		c.QRPayTypes = QRPayTypes()
	}
	if c.OrderTypes == nil {
		c.OrderTypes = OrderTypes()
	}
	return c.copied()
}

// copied cuts the tables loose from the caller and checks their words.
func (c Config) copied() (Config, error) {
	c.BarcodePayTypes, c.QRPayTypes = maps.Clone(c.BarcodePayTypes), maps.Clone(c.QRPayTypes)
	c.OrderTypes = maps.Clone(c.OrderTypes)
	c.RefundRefusals = append([]string(nil), c.RefundRefusals...)
	for _, table := range []map[platforms.Channel]string{c.BarcodePayTypes, c.QRPayTypes} {
		back := map[string]platforms.Channel{}
		for ch, word := range table {
			low := strings.ToLower(word)
			if other, twice := back[low]; twice || !typeWord.MatchString(word) {
				return c, fmt.Errorf("cannot use pay type %q for %s: it is empty, no word, or taken by %s", word, ch, other)
			}
			back[low] = ch
		}
	}
	for name, word := range c.OrderTypes {
		if !typeWord.MatchString(word) {
			return c, fmt.Errorf("cannot use order type %q for %s: write one of the platform's words", word, name)
		}
	}
	for _, code := range c.RefundRefusals {
		if strings.TrimSpace(code) == "" {
			return c, errors.New("cannot use refund_refusals: an empty SubCode proves nothing")
		}
	}
	return c, nil
}
