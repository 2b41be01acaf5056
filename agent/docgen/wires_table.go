package docgen

// Wires lists every interface, rule and scene of the two documents.
func Wires() []Wire {
	return []Wire{
		{"000", "SweepCodePay", "SweepCodePay", "当面付扫码", "charge a payment code", []Home{
			{WeCall, "platforms/smartpay", []string{"TestRequestsAreTheSeedsSamplesFilledIn", "TestGoldenReplies", "TestEveryCodeOfSweepCodePay", "TestSuite"}},
		}, []string{"smartpay-transport", "transaction-code", "smartpay-lists", "smartpay-codes", "smartpay-amount"}},
		{"000", "QueryOrderState", "QueryOrderState", "查询订单状态", "ask how an order is", []Home{
			{WeCall, "platforms/smartpay", []string{"TestRequestsAreTheSeedsSamplesFilledIn", "TestEveryOrderState", "TestQueryKeys"}},
		}, []string{"smartpay-key", "order-state"}},
		{"000", "Revoke", "Revoke", "撤销订单", "cancel an order", []Home{
			{WeCall, "platforms/smartpay", []string{"TestEveryAnswerToRevoke", "TestRevokeKeys", "TestTheMalformedRevokeSampleIsRefusedWithThePlace"}},
		}, []string{"smartpay-key", "revoke"}},
		{"004", "2.1", "线下条码付 2.1", "窗口扫患者的付款码", "a counter scans the patient's code", []Home{
			{WeKeep, "agent", []string{"TestCharges", "TestEarlyCancel", "TestLatePayer"}},
		}, []string{"no-status"}},
		{"004", "2.2", "线下扫码付 2.2", "自助机展示二维码", "a kiosk shows a QR code", []Home{
			{WeKeep, "agent", []string{"TestKiosk", "TestKioskEnd"}},
		}, []string{"qr-cancel"}},
		{"004", "4.1", "订单规则 4.1", "订单号开头区分业务", "order numbers begin with the business", []Home{
			{WeKeep, "agent/config", []string{"TestTables", "TestReport"}},
		}, []string{"prefixes"}},
		{"004", "5.1", "FWC_IF_Barcode_Pay", "线下条码付", "charge a payment code", []Home{
			{WeCall, "platforms/fwc", []string{"TestGoldenRequests", "TestGoldenReplies", "TestPayTable", "TestPlatform"}},
		}, []string{"fwc-unsigned", "no-status", "sub-codes", "fwc-unit", "echo", "times"}},
		{"004", "5.2", "FWC_IF_Barcode_Pay_Query", "线下交易查询", "ask how a trade is", []Home{
			{WeCall, "platforms/fwc", []string{"TestGoldenRequests", "TestGoldenReplies", "TestQueryTable"}},
		}, []string{"closed", "fwc-unsigned", "times"}},
		{"004", "5.3", "FWC_IF_Barcode_Pay_Cancel", "线下交易撤销", "cancel a trade", []Home{
			{WeCall, "platforms/fwc", []string{"TestGoldenRequests", "TestGoldenReplies", "TestCancelTable"}},
		}, []string{"retry-flag", "qr-cancel"}},
		{"004", "5.4", "FWC_IF_Barcode_Pay_Refund", "线下交易退款", "give money back", []Home{
			{WeCall, "platforms/fwc", []string{"TestGoldenRequests", "TestGoldenReplies", "TestRefundTable"}},
			{WeKeep, "agent", []string{"TestRefunds"}},
		}, []string{"refund-change", "refund-query"}},
		{"004", "5.5", "FWC_IF_Qrcode_Pay", "线下扫码付", "make a QR code", []Home{
			{WeCall, "platforms/fwc", []string{"TestGoldenRequests", "TestGoldenReplies", "TestQRTextMustBeShowable", "TestExpires"}},
		}, []string{"prefixes", "fwc-unsigned"}},
	}
}
