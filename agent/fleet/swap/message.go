package swap

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"payagent/agent"
	"payagent/agent/fleet"
	"payagent/platforms"
)

// maxOrders bounds what is left for another box, and what is taken over.
const maxOrders = 500

// Message is retained at <box>/open/<generation>.
type Message struct {
	Certificate string `json:"certificate"` // PEM, of the box that signed
	Payload     []byte `json:"payload"`     // a List, base64
	Signature   []byte `json:"signature"`   // by the certificate's key, of the payload behind the context
}

// List is the signed part of a Message.
type List struct {
	Site       string       `json:"site"`
	Box        string       `json:"box"`
	Generation uint64       `json:"generation"`
	Orders     []agent.Left `json:"orders"`
	// More is how many there are besides, which did not fit.
	More int `json:"more,omitempty"`
}

// purpose stands before what is signed, so that the signature means nothing
// elsewhere.
const purpose = "payagent open orders v1\n"

func digest(payload []byte) []byte {
	sum := sha256.Sum256(append([]byte(purpose), payload...))
	return sum[:]
}

// sign makes the message.
func sign(payload []byte, pair tls.Certificate) ([]byte, error) {
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || pair.Leaf == nil {
		return nil, errors.New("cannot sign the open orders: the box's key signs nothing; enrol the box anew")
	}
	text, how := digest(payload), crypto.SHA256
	if _, is := key.(ed25519.PrivateKey); is {
		how = 0
	}
	sig, err := key.Sign(rand.Reader, text, how)
	if err != nil {
		return nil, fmt.Errorf("cannot sign the open orders: %w", err)
	}
	return json.Marshal(Message{Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Leaf.Raw})), Payload: payload, Signature: sig})
}

// errFalse is what comes from no box of this name.
var errFalse = errors.New("it is not signed by a box of this name that the fleet's authority vouches for")

// parseCert reads the first certificate in PEM.
func parseCert(data []byte) (*x509.Certificate, error) {
	b, _ := pem.Decode(data)
	if b == nil {
		return nil, errFalse
	}
	return x509.ParseCertificate(b.Bytes)
}

// verify tells that the authority gave the certificate to a box of this name.
// One that has ended, or was revoked since, proves as much: it was given.
func verify(c *x509.Certificate, authority []byte, at fleet.Place) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: c.NotAfter, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return fmt.Errorf("%w: %w", errFalse, err)
	}
	if c.Subject.CommonName != at.Box || len(c.URIs) != 1 || c.URIs[0].String() != "payagent://"+at.Site+"/"+at.Box {
		return errFalse
	}
	return nil
}

// open verifies a message and reads it.
func open(data, authority []byte, at fleet.Place) (*x509.Certificate, List, error) {
	var m Message
	var l List
	if err := fleet.Unmarshal(data, &m); err != nil {
		return nil, l, err
	}
	c, err := parseCert([]byte(m.Certificate))
	if err == nil {
		err = verify(c, authority, at)
	}
	if err != nil {
		return nil, l, err
	}
	good := false
	switch key := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		good = ecdsa.VerifyASN1(key, digest(m.Payload), m.Signature)
	case ed25519.PublicKey:
		good = ed25519.Verify(key, digest(m.Payload), m.Signature)
	}
	if !good {
		return nil, l, errFalse
	}
	if err := fleet.Unmarshal(m.Payload, &l); err != nil {
		return c, l, err
	}
	if l.Site != at.Site || l.Box != at.Box || l.Generation != fleet.Generation(c) || len(l.Orders) > maxOrders {
		return c, l, errFalse
	}
	for i := range l.Orders {
		if o := &l.Orders[i]; !plausible(o) {
			return c, l, fmt.Errorf("order %.40q makes no sense", o.OrderNo)
		}
	}
	return c, l, nil
}

// maxText bounds a text of a list, in bytes: with what the log puts before it, it
// is still a key that the log takes. Otherwise the log would stop, and payments.
const maxText = 120

func plausible(o *agent.Left) bool {
	texts := []string{o.OrderNo, o.Bill, o.Till, o.Platform, o.Profile, o.MerchCode, string(o.Channel), o.OrderType, o.Operator, o.Handle, o.TradeNo, o.EndReason, string(o.Action)}
	back := o.Refunded
	for i := range o.Refunds {
		r := &o.Refunds[i]
		texts = append(texts, r.Request, r.Operator.ID, string(r.Via), r.Through)
		if back += r.Sum; r.Sum <= 0 || r.Request == "" || back > o.Amount || back < r.Sum {
			return false
		}
	}
	if b := o.Booking; b != nil {
		texts = append(texts, b.FlowID, b.CostType, b.Operator.ID)
	}
	for _, s := range texts {
		if len(s) > maxText {
			return false
		}
		for _, r := range s {
			if r < ' ' || r == 0x7f {
				return false
			}
		}
	}
	switch o.Mode {
	case platforms.ModeCharge, platforms.ModePresent, platforms.ModeH5, platforms.ModeInsurance:
	default:
		return false
	}
	return o.OrderNo != "" && len(o.OrderNo) <= 64 && o.Refunded >= 0 && back <= o.Amount && o.Amount > 0 && o.Amount < 1e12 && !o.CreatedAt.IsZero()
}
