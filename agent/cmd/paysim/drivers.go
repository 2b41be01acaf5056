package main

import (
	"net/http"

	"payagent/agent/cmd/paysim/internal/world"
	"payagent/platforms/bank/wire"
	"payagent/platforms/fwc/fwctest"
	"payagent/platforms/smartpay/smartpaytest"
)

// platformNames lists the platforms of the pretend world, which are also the
// first elements of their paths.
func platformNames() []string { return []string{"smartpay", "fwc", "lc"} }

// platform makes one of them over the books of w; nil for another name.
//
// SmartPay is served at /smartpay/WSGW/services/ServiceGateWay (SOAP),
// /smartpay/wsgw/{module}/{name}/{method}/call.do (form) and any other address
// below /smartpay/ (bare XML); LinkingCloud at /fwc/linkingif.asmx; its open
// gateway at /lc/gateway, with the pages that it leads payers to beside it.
func platform(name string, w *world.World, ctl *wire.Control, findByNumber bool, open *gateway) http.Handler {
	b := w.Bank()
	switch name {
	case "smartpay":
		return smartpaytest.Handler(b, smartpaytest.Options{Control: ctl, FindByHisOrderID: findByNumber, FullSample: true, Begin: w.Epoch()})
	case "fwc":
		return fwctest.Handler(b, fwctest.Options{Control: ctl, Epoch: w.Epoch().In(chinaTime()), QR: world.QRText, QRCancel: true})
	case "lc":
		return open.handler(w, ctl)
	}
	return nil
}

// platformsMux serves all of them and gives their controls by name.
func platformsMux(w *world.World, findByNumber bool, open *gateway) (http.Handler, map[string]*wire.Control) {
	mux, wires := http.NewServeMux(), map[string]*wire.Control{}
	for _, name := range platformNames() {
		ctl := wire.New(wire.Options{Clock: w.Now, Script: w.Script})
		wires[name] = ctl
		h := http.MaxBytesHandler(platform(name, w, ctl, findByNumber, open), wire.MaxReply)
		mux.Handle("/"+name+"/", http.StripPrefix("/"+name, h))
	}
	return mux, wires
}
