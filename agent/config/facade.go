package config

import (
	"net/url"
	"strings"
	"time"
)

// Facade lets the agent answer in a platform's own words, so that a HIS that
// was written for the platform only changes an address (HIS-04). Off without
// addresses.
type Facade struct {
	Listener
	// Till that takes what comes from a terminal that is listed nowhere. Empty refuses it.
	Till string
	// Terminals (TerminalID, DeviceInfo) and the tills they belong to. A till's own device_no needs no entry.
	Tills map[string]string
	// A pay, cancel or refund call is held open at most this long; the client's own time-out must be longer.
	Wait time.Duration
	// true counts a payment as booked once HIS was told of it here and did not cancel it within booking.alarm_after: a HIS that calls as it would call the platform has no word for its books. false leaves it to the booking call of the API.
	AssumeBooked bool
	// Who answers for refunds, whose messages name nobody; the order's own operator by default.
	Operator Operator
	// Merchant profile under which HIS took payments at the platform directly before it was pointed here: orders that the journal does not know are looked up and given back there. Empty: they do not exist.
	FormerMerchant string
	// SmartPay's three calls, at /SECRET/… with whatever follows as the platform has it.
	SmartPay *FacadeSmartPay `yaml:"smartpay"`
	// The FWC_IF_* calls, at /fwc/….
	FWC *FacadeFWC `yaml:"fwc"`
}

// FacadeSmartPay is the façade of SmartPay.
type FacadeSmartPay struct {
	// File that holds the secret alone: 16 to 64 letters and digits; mode 0600. It is the first part of the path, since the protocol has no secret; the later gateways may carry it as token instead.
	SecretFile string
	// ServiceId and the order types of the API they stand for, in quotes; by default order_types the other way round.
	OrderTypes map[string]string
	// CardType and the card types of the API they stand for, in quotes; by default those of the adapter the other way round.
	CardTypes map[string]string
	// true leaves MerchCode unread. Otherwise a call is refused whose MerchCode is not that of the merchant profile that takes its money.
	IgnoreMerchCode bool
}

// FacadeFWC is the façade of FWC.
type FacadeFWC struct {
	// File that holds the AccessToken that HIS sends, alone; mode 0600.
	TokenFile string
	// Target namespace of the WSDL, default http://tempuri.org/.
	Namespace string
	// What stands before the operation in the SOAP action, default the namespace.
	ActionPrefix string
	// Name of the string parameter, default xml.
	ParamName string
	// IsSuccess of a pay answer while the payer has not finished, in quotes: "0", "1" or "2". With "1" a HIS that takes 1 for paid is told too much.
	Pending string
}

// Books serves the platform's reconciliation: IF_Get_Hospital_Trade_List and
// HIS_IF_Query (seed 004 §7), from what HIS booked. Off without addresses.
type Books struct {
	Listener
	// File that holds the AccessToken that the platform sends, alone; mode 0600. HIS_IF_Query always demands it.
	TokenFile string
	// true demands the token of IF_Get_Hospital_Trade_List too, which has none in the document.
	RequireToken bool
	// Target namespace of the WSDL, default http://tempuri.org/.
	Namespace string
	// What stands before the operation in the SOAP action of the WSDL, default the namespace. Any action is accepted.
	ActionPrefix string
	// Name of the string parameter, default xml.
	ParamName string
	// Sign of Amount on rows of money given back: positive (status 3 says it) or negative.
	RefundSign string
	// true takes EndDate as within the span. Times have whole seconds, and 23:59:59 is the usual end.
	EndInclusive bool
	// What PayType is called in answers: codes (weixin) or names (微信).
	PayTypeNames string
	// Root of HIS_IF_Query's answer: HisTradeStatus (the document's example) or BarcodeTradeStatus (its table).
	RootElement string
	// Longest span that IF_Get_Hospital_Trade_List answers.
	MaxRange time.Duration
	// true also lists what the platform told and HIS did not book. Then the platform is compared with itself, and a one-sided account (单边账) stays hidden.
	IncludeUnbooked bool
}

func (v validator) facade() {
	f := v.Facade
	v.listener("facade", f.Listener)
	var tills, profiles []string
	for _, t := range v.Tills {
		tills = append(tills, t.Name)
	}
	for _, m := range v.Merchants {
		profiles = append(profiles, m.Profile)
	}
	if f.Till != "" {
		v.known("facade.till", f.Till, "till", tills)
	}
	for _, terminal := range sortedKeys(f.Tills) {
		v.known("facade.tills."+terminal, f.Tills[terminal], "till", tills)
	}
	if f.FormerMerchant != "" {
		v.known("facade.former_merchant", f.FormerMerchant, "merchant profile", profiles)
	}
	v.between("facade.wait", f.Wait, time.Second, 5*time.Minute)
	if f.On() && f.SmartPay == nil && f.FWC == nil {
		v.add("facade", "name what it answers as: smartpay: {…} or fwc: {…}; or remove listen")
	}
	if s := f.SmartPay; s != nil {
		if s.SecretFile == "" {
			v.add("facade.smartpay.secret_file", "this is required: the protocol has no secret of its own, so the path carries one; name the file that holds it")
		}
		for _, id := range sortedKeys(s.OrderTypes) {
			v.known("facade.smartpay.order_types."+id, s.OrderTypes[id], "order type", sortedKeys(v.OrderTypes))
		}
	}
	if w := f.FWC; w != nil {
		if w.TokenFile == "" {
			v.add("facade.fwc.token_file", "this is required: name the file that holds the AccessToken that HIS sends")
		}
		v.soapNames("facade.fwc", w.Namespace, w.ActionPrefix, w.ParamName)
		if w.Pending != "" {
			v.oneOf("facade.fwc.pending", w.Pending, "0", "1", "2")
		}
	}
}

func (v validator) books() {
	b := v.Books
	v.listener("books", b.Listener)
	v.soapNames("books", b.Namespace, b.ActionPrefix, b.ParamName)
	v.oneOf("books.refund_sign", b.RefundSign, "positive", "negative")
	v.oneOf("books.pay_type_names", b.PayTypeNames, "codes", "names")
	v.oneOf("books.root_element", b.RootElement, "HisTradeStatus", "BarcodeTradeStatus")
	v.between("books.max_range", b.MaxRange, time.Hour, 400*24*time.Hour)
	if b.On() && b.TokenFile == "" {
		v.add("books.token_file", "this is required: name the file that holds the AccessToken that the platform sends")
	}
	if b.On() && !b.RequireToken && len(b.Allow) == 0 && b.ClientCA == "" {
		v.add("books.allow", "the list of trades names patients and its message carries no token: name the platform's addresses here, or client_ca, or write require_token: true")
	}
}

// soapNames checks the names that a WSDL is made of.
func (v validator) soapNames(at, namespace, prefix, param string) {
	for key, s := range map[string]string{".namespace": namespace, ".action_prefix": prefix} {
		if _, err := url.Parse(s); err != nil || strings.ContainsAny(s, "\"<>& \t\r\n") {
			v.add(at+key, "this is not a URI; write e.g. http://tempuri.org/")
		}
	}
	if param != "" && !nameRule.MatchString(param) {
		v.add(at+".param_name", "this is not the name of an element; write e.g. xml")
	}
}
