package docgen

// Wires lists every interface, rule and scene of the two documents.
func Wires() []Wire {
	return []Wire{
		{"000", "SweepCodePay", "SweepCodePay", "当面付扫码", "charge a payment code", []Home{
			{WeCall, "platforms/smartpay", []string{"TestRequestsAreTheSeedsSamplesFilledIn", "TestGoldenReplies", "TestEveryCodeOfSweepCodePay", "TestSuite"}},
			{Facade, "platforms/smartpay/smartpayfacade", []string{"agent/facade TestPaid", "agent/facade TestScanner", "agent/facade TestOnceOnly"}},
		}, []string{"smartpay-transport", "transaction-code", "smartpay-lists", "smartpay-codes", "smartpay-amount"}},
		{"000", "QueryOrderState", "QueryOrderState", "查询订单状态", "ask how an order is", []Home{
			{WeCall, "platforms/smartpay", []string{"TestRequestsAreTheSeedsSamplesFilledIn", "TestEveryOrderState", "TestQueryKeys"}},
			{Facade, "platforms/smartpay/smartpayfacade", []string{"agent/facade TestUnknown", "agent/facade TestFormer"}},
		}, []string{"smartpay-key", "order-state"}},
		{"000", "Revoke", "Revoke", "撤销订单", "cancel an order", []Home{
			{WeCall, "platforms/smartpay", []string{"TestEveryAnswerToRevoke", "TestRevokeKeys", "TestTheMalformedRevokeSampleIsRefusedWithThePlace"}},
			{Facade, "platforms/smartpay/smartpayfacade", []string{"agent/facade TestCancel"}},
		}, []string{"smartpay-key", "revoke"}},
		{"004", "2.1", "线下条码付 2.1", "窗口扫患者的付款码", "a counter scans the patient's code", []Home{
			{WeKeep, "agent", []string{"TestCharges", "TestEarlyCancel", "TestLatePayer"}},
		}, []string{"no-status"}},
		{"004", "2.2", "线下扫码付 2.2", "自助机展示二维码", "a kiosk shows a QR code", []Home{
			{WeKeep, "agent", []string{"TestKiosk", "TestKioskEnd"}},
		}, []string{"qr-cancel"}},
		{"004", "2.3", "线下退费 2.3", "任何渠道的订单在窗口退", "refunds at a counter, of any payment on the platform", []Home{
			{WeKeep, "agent", []string{"TestRefunds", "agent/door TestDesk"}},
		}, []string{"refund-query"}},
		{"004", "3.1", "线上自费支付 3.1", "公众号、生活号里付款", "payments on a page in a wallet's app", []Home{
			{WeKeep, "agent", []string{"TestH5", "TestPayerLeft", "TestNoQuery"}},
		}, []string{"lc-query"}},
		{"004", "4.1", "订单规则 4.1", "订单号开头区分业务", "order numbers begin with the business", []Home{
			{WeKeep, "agent/config", []string{"TestTables", "TestReport"}},
		}, []string{"prefixes"}},
		{"004", "5.1", "FWC_IF_Barcode_Pay", "线下条码付", "charge a payment code", []Home{
			{WeCall, "platforms/fwc", []string{"TestGoldenRequests", "TestGoldenReplies", "TestPayTable", "TestPlatform"}},
			{Facade, "platforms/fwc/fwcfacade", []string{"agent/facade TestPaid", "agent/facade TestScanner", "agent/facade TestOnceOnly"}},
		}, []string{"fwc-unsigned", "no-status", "sub-codes", "fwc-unit", "echo", "times"}},
		{"004", "5.2", "FWC_IF_Barcode_Pay_Query", "线下交易查询", "ask how a trade is", []Home{
			{WeCall, "platforms/fwc", []string{"TestGoldenRequests", "TestGoldenReplies", "TestQueryTable"}},
			{Facade, "platforms/fwc/fwcfacade", []string{"agent/facade TestUnknown", "agent/facade TestFormer"}},
		}, []string{"closed", "fwc-unsigned", "times"}},
		{"004", "5.3", "FWC_IF_Barcode_Pay_Cancel", "线下交易撤销", "cancel a trade", []Home{
			{WeCall, "platforms/fwc", []string{"TestGoldenRequests", "TestGoldenReplies", "TestCancelTable"}},
			{Facade, "platforms/fwc/fwcfacade", []string{"agent/facade TestCancel"}},
		}, []string{"retry-flag", "qr-cancel"}},
		{"004", "5.4", "FWC_IF_Barcode_Pay_Refund", "线下交易退款", "give money back", []Home{
			{WeCall, "platforms/fwc", []string{"TestGoldenRequests", "TestGoldenReplies", "TestRefundTable"}},
			{WeKeep, "agent", []string{"TestRefunds"}},
			{Facade, "platforms/fwc/fwcfacade", []string{"agent/facade TestRefund"}},
		}, []string{"refund-change", "refund-query"}},
		{"004", "5.5", "FWC_IF_Qrcode_Pay", "线下扫码付", "make a QR code", []Home{
			{WeCall, "platforms/fwc", []string{"TestGoldenRequests", "TestGoldenReplies", "TestQRTextMustBeShowable", "TestExpires"}},
			{Facade, "platforms/fwc/fwcfacade", []string{"agent/facade TestPresent"}},
		}, []string{"prefixes", "fwc-unsigned"}},
		{"004", "6", "签名 6", "应用参数、签名与验签", "signing and verifying", []Home{
			{WeKeep, "platforms/lc/internal/sign", []string{"TestVector", "TestVectorMutated", "TestKeyForms"}},
			{WeKeep, "agent/cmd/payagent", []string{"TestDoctorSign"}},
		}, []string{"lc-sign", "lc-verify"}},
		{"004", "6.1", "lc.trade.h5.pay", "H5 支付", "make a payment page", []Home{
			{WeCall, "platforms/lc", []string{"TestPlatform", "agent/cmd/paysim TestGateway"}},
			{WeKeep, "agent", []string{"TestH5", "TestH5AddressesOfHIS", "TestH5Refused"}},
		}, []string{"lc-sign", "lc-codes"}},
		{"004", "6.1 return_url", "lc.trade.h5.pay.return", "付款人回到页面", "the payer's browser comes back", []Home{
			{WeHear, "platforms/lc", []string{"agent/cmd/paysim TestGateway"}},
			{WeKeep, "agent", []string{"TestPayerLeft"}},
		}, []string{"return-url"}},
		{"004", "6.2", "lc.trade.notify", "支付结果异步通知", "the platform tells an outcome", []Home{
			{WeHear, "platforms/lc", []string{"agent/cmd/paysim TestGateway"}},
			{WeKeep, "agent", []string{"TestNoticeWakes", "TestNoticeForged", "TestNoticeFindsLateMoney", "TestNoQuery"}},
		}, []string{"notify", "lc-query", "closed"}},
		{"004", "6.3", "lc.trade.cancel", "交易撤销", "cancel a trade", []Home{
			{WeCall, "platforms/lc", []string{"TestPlatform", "agent/cmd/paysim TestGateway"}},
		}, []string{"retry-flag", "ssc-cancel"}},
		{"004", "6.4", "medicareAuth", "医保电子凭证：用户授权", "the payer authorises the use of the insurance", []Home{
			{WeCall, "platforms/lc", []string{"agent/cmd/paysim TestAuthorisation"}},
		}, []string{"ssc-fields"}},
		{"004", "6.5", "lc.ssc.user.token", "医保电子凭证：用户二维码值", "the payer's insurance token", []Home{
			{WeCall, "platforms/lc", []string{"agent/cmd/paysim TestAuthorisation"}},
		}, []string{"ssc-fields"}},
		{"004", "7.1", "IF_Get_Hospital_Trade_List", "获取医院交易数据", "HIS's payments of a span of time", []Home{
			{WeServe, "platforms/fwc/fwcserve", []string{"agent/books TestTrades", "agent/books TestBookedLate"}},
		}, []string{"trade-list", "times"}},
		{"004", "7.2", "HIS_IF_Query", "HIS 交易状态查询", "what HIS made of an order", []Home{
			{WeServe, "platforms/fwc/fwcserve", []string{"agent/books TestOrder"}},
		}, []string{"his-query"}},
		{"—", "联空线上服务 live gateway", "lc.trade.barcode.pay, lc.trade.qrcode.pay, lc.trade.query, lc.trade.refund, lc.trade.close",
			"文档没有、线上网关有的方法", "methods of the live gateway that the document lacks", []Home{
				{WeCall, "platforms/lc", []string{"TestPlatform", "agent/cmd/payagent TestJoined"}},
			}, []string{"lc-query", "lc-codes"}},
	}
}
