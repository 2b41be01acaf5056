package world

// Scenario is a line of the table of magic amounts and codes.
type Scenario struct {
	// N stands in the last two digits of the amount in fen, or at the end of a
	// magic payment code. Zero stands for 0 to 89.
	N  int    `json:"n"`
	Zh string `json:"zh"`
	En string `json:"en"`
	// Payer tells that it is the payer who behaves so; otherwise it is the
	// platform or the line, and a QR code does not do it.
	Payer bool `json:"payer"`
}

// Scenarios is the table of package bank in words for people.
func Scenarios() []Scenario {
	return []Scenario{
		{0, "马上支付", "pays at once (00–89)", true},
		{90, "输密码，20 秒后支付", "types a password, pays after 20 s", true},
		{91, "已支付，但付款应答丢失", "pays, but the reply to the charge is lost", false},
		{92, "迟付，50 秒后支付", "late payer, pays after 50 s", true},
		{93, "一直不支付", "never pays", true},
		{94, "余额不足", "refused: no money", true},
		{95, "已支付，但应答金额不符", "pays, but every answer carries another amount", false},
		{96, "已支付，但平台应答 HTTP 500", "pays, but the charge is answered with HTTP 500", false},
		{97, "已支付，但应答是乱码", "pays, but the charge is answered with garbage", false},
		{98, "付款请求丢失，未到银行", "the charge request is lost and never reaches the bank", false},
		{99, "付款码过期或已使用", "refused: the code is expired or used", true},
	}
}
