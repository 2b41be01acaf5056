package docgen

// Wires lists every interface, rule and scene of the two documents, and what
// the live gateway has beyond them.
func Wires() []Wire { return append(append(smartpayWires(), fwcWires()...), gatewayWires()...) }

func smartpayWires() []Wire {
	const home, facade = "platforms/smartpay", "platforms/smartpay/smartpayfacade"
	return []Wire{
		{"000", "SweepCodePay", "SweepCodePay", "当面付扫码", "charge a payment code", []Home{
			{WeCall, home, []string{"TestRequestsAreTheSeedsSamplesFilledIn", "TestGoldenReplies", "TestEveryCodeOfSweepCodePay", "TestSuite"}},
			{Facade, facade, []string{"TestSamples", "TestPay", "TestStates", "agent/facade TestOnceOnly", "agent/facade TestScanner", "agent/facade TestNodeSmartPay"}},
		}, []string{"smartpay-transport", "transaction-code", "smartpay-lists", "smartpay-codes", "smartpay-amount"}},
		{"000", "QueryOrderState", "QueryOrderState", "查询订单状态", "ask how an order is", []Home{
			{WeCall, home, []string{"TestRequestsAreTheSeedsSamplesFilledIn", "TestEveryOrderState", "TestQueryKeys"}},
			{Facade, facade, []string{"TestSamples", "TestStates", "agent/facade TestUnknown", "agent/facade TestFormer"}},
		}, []string{"smartpay-key", "order-state"}},
		{"000", "Revoke", "Revoke", "撤销订单", "cancel an order", []Home{
			{WeCall, home, []string{"TestEveryAnswerToRevoke", "TestRevokeKeys", "TestTheMalformedRevokeSampleIsRefusedWithThePlace"}},
			{Facade, facade, []string{"TestSamples", "TestStates", "agent/facade TestCancel"}},
		}, []string{"smartpay-key", "revoke"}},
		{"000", "收费员流程", "等待用户扫码、用户支付中、校验、撤销", "窗口的四个画面与两个渠道", "the screens of the window, and the two channels of the report", []Home{
			{WeKeep, "agent/door/pages", []string{"TestCashierScreens", "TestRealCounter"}},
			{WeKeep, "agent/finance", []string{"TestReport"}},
		}, nil},
	}
}

func fwcWires() []Wire {
	const home, facade, serve = "platforms/fwc", "platforms/fwc/fwcfacade", "platforms/fwc/fwcserve"
	return []Wire{
		{"004", "2.1", "线下条码付 2.1", "窗口扫患者的付款码", "a counter scans the patient's code", []Home{
			{WeKeep, "agent", []string{"TestCharges", "TestEarlyCancel", "TestLatePayer", "TestHISSaysItFailed"}},
		}, []string{"no-status"}},
		{"004", "2.2", "线下扫码付 2.2", "自助机展示二维码", "a kiosk shows a QR code", []Home{
			{WeKeep, "agent", []string{"TestKiosk", "TestKioskEnd", "TestSilenceAtAKiosk"}},
		}, []string{"qr-cancel"}},
		{"004", "2.3", "线下退费 2.3", "任何渠道的订单在窗口退", "refunds at a counter, of any payment on the platform", []Home{
			{WeKeep, "agent", []string{"TestRefundDesk", "TestEveryRefundAsksFirst", "TestASecondPerson", "agent/door TestDesk"}},
		}, []string{"refund-query"}},
		{"004", "4.1", "订单规则 4.1", "订单号开头区分业务", "order numbers begin with the business", []Home{
			{WeKeep, "agent/config", []string{"TestTables", "TestReport"}},
			{WeKeep, "agent/finance", []string{"TestReport"}},
		}, []string{"prefixes"}},
		{"004", "5.1", "FWC_IF_Barcode_Pay", "线下条码付", "charge a payment code", []Home{
			{WeCall, home, []string{"TestGoldenRequests", "TestGoldenReplies", "TestPayTable", "TestPlatform"}},
			{Facade, facade, []string{"TestSamples", "TestPay", "TestStates", "agent/facade TestOnceOnly", "agent/facade TestScanner", "agent/facade TestNodeFWC"}},
		}, []string{"fwc-unsigned", "no-status", "sub-codes", "fwc-unit", "echo", "times"}},
		{"004", "5.2", "FWC_IF_Barcode_Pay_Query", "线下交易查询", "ask how a trade is", []Home{
			{WeCall, home, []string{"TestGoldenRequests", "TestGoldenReplies", "TestQueryTable"}},
			{Facade, facade, []string{"TestSamples", "TestStates", "agent/facade TestUnknown", "agent/facade TestFormer"}},
		}, []string{"closed", "fwc-unsigned", "times"}},
		{"004", "5.3", "FWC_IF_Barcode_Pay_Cancel", "线下交易撤销", "cancel a trade", []Home{
			{WeCall, home, []string{"TestGoldenRequests", "TestGoldenReplies", "TestCancelTable"}},
			{Facade, facade, []string{"TestSamples", "TestStates", "agent/facade TestCancel"}},
		}, []string{"retry-flag", "qr-cancel"}},
		{"004", "5.4", "FWC_IF_Barcode_Pay_Refund", "线下交易退款", "give money back", []Home{
			{WeCall, home, []string{"TestGoldenRequests", "TestGoldenReplies", "TestRefundTable"}},
			{Facade, facade, []string{"TestSamples", "TestRefund", "agent/facade TestRefund"}},
		}, []string{"refund-change", "refund-query"}},
		{"004", "5.5", "FWC_IF_Qrcode_Pay", "线下扫码付", "make a QR code", []Home{
			{WeCall, home, []string{"TestGoldenRequests", "TestGoldenReplies", "TestQRTextMustBeShowable", "TestExpires"}},
			{Facade, facade, []string{"TestSamples", "agent/facade TestPresent"}},
		}, []string{"prefixes", "fwc-unsigned"}},
		{"004", "7.1", "IF_Get_Hospital_Trade_List", "获取医院交易数据", "HIS's payments of a span of time", []Home{
			{WeServe, serve, []string{"TestSamples", "TestSwitches", "TestDates", "TestBrokenList", "agent/books TestTrades", "agent/facade TestNodeBooks"}},
		}, []string{"trade-list", "times"}},
		{"004", "7.2", "HIS_IF_Query", "HIS 交易状态查询", "what HIS made of an order", []Home{
			{WeServe, serve, []string{"TestSamples", "TestQuery", "agent/books TestOrder", "agent/facade TestNodeBooks"}},
		}, []string{"his-query"}},
	}
}

func gatewayWires() []Wire {
	const home = "platforms/lc"
	return []Wire{
		{"004", "3.1", "线上自费支付 3.1", "公众号、生活号里付款", "payments on a page in a wallet's app", []Home{
			{WeKeep, "agent/callback", []string{"TestGatewayH5", "TestReturnPage", "TestReturnPageHISFails", "agent TestH5"}},
		}, []string{"lc-query"}},
		{"004", "3.2", "线上医保支付 3.2", "授权、预结算、支付、通知 HIS", "authorise, settle, pay, tell HIS", []Home{
			{WeKeep, "agent/callback", []string{"TestGatewayInsurance", "TestAuthorised", "agent TestInsurance", "agent TestInsuranceSplit"}},
		}, []string{"ssc-fields", "ssc-cancel"}},
		{"004", "6", "签名 6", "应用参数、签名与验签", "signing and verifying", []Home{
			{WeKeep, "platforms/lc/internal/sign", []string{"TestVector", "TestVectorMutated", "TestKeyForms"}},
			{WeKeep, home, []string{"TestTrust", "TestUnsignedErrorsAreUnknown", "TestMutatedReplies", "agent/cmd/payagent TestDoctorSign"}},
		}, []string{"lc-sign", "lc-verify"}},
		{"004", "6.1", "lc.trade.h5.pay", "H5 支付", "make a payment page", []Home{
			{WeCall, home, []string{"TestGoldenRequests", "TestGoldenReplies", "TestShown", "TestPlatform", "agent TestH5AddressesOfHIS"}},
		}, []string{"lc-sign", "lc-codes"}},
		{"004", "6.1 return_url", "lc.trade.h5.pay.return", "付款人回到页面", "the payer's browser comes back", []Home{
			{WeHear, home, []string{"TestGoldenNotices", "TestEvidence", "agent/callback TestReturnPage", "agent TestPayerLeft"}},
		}, []string{"return-url"}},
		{"004", "6.2", "lc.trade.notify", "支付结果异步通知", "the platform tells an outcome", []Home{
			{WeHear, home, []string{"TestGoldenNotices", "TestNoticeStatuses", "TestForgedNotices", "TestMutatedNotices"}},
			{WeHear, "agent/callback", []string{"TestNotify", "TestStrangers", "agent TestNoticeWakes", "agent TestNoQuery"}},
		}, []string{"notify", "lc-query", "closed"}},
		{"004", "6.3", "lc.trade.cancel", "交易撤销", "cancel a trade", []Home{
			{WeCall, home, []string{"TestGoldenRequests", "TestGoldenReplies", "TestCancelTable", "agent TestReversalThroughAnotherPlatform"}},
		}, []string{"retry-flag", "ssc-cancel"}},
		{"004", "6.4", "medicareAuth", "医保电子凭证：用户授权", "the payer authorises the use of the insurance", []Home{
			{WeCall, home, []string{"agent/cmd/paysim TestAuthorisation", "agent/callback TestAuthorised", "agent TestInsuranceOwnAuthorisation"}},
		}, []string{"ssc-fields"}},
		{"004", "6.5", "lc.ssc.user.token", "医保电子凭证：用户二维码值", "the payer's insurance token", []Home{
			{WeCall, home, []string{"TestGoldenRequests", "TestGoldenReplies", "agent TestInsurance"}},
		}, []string{"ssc-fields"}},
		{"004", "6.6", "lc.ssc.trade.pay", "电子社保卡发起支付", "pay with the insurance", []Home{
			{WeCall, home, []string{"TestGoldenRequests", "TestGoldenReplies", "agent TestInsurance", "agent TestInsuranceSettlementRefused"}},
		}, []string{"ssc-fields", "ssc-cancel"}},
		{"—", "联空线上服务 live gateway", "lc.trade.barcode.pay, lc.trade.qrcode.pay, lc.trade.query, lc.trade.refund, lc.trade.close",
			"文档没有、线上网关有的方法", "methods of the live gateway that the document lacks", []Home{
				{WeCall, home, []string{"TestPlatform", "TestPayTable", "TestQueryTable", "TestRefundTable", "TestCloseFirst", "agent/cmd/payagent TestJoined"}},
			}, []string{"lc-query", "lc-codes"}},
	}
}
