package words

// What the fleet's certificate authority says to whoever enrols a box, and the
// alarms about certificates. Patients and cashiers never read the first.

func enrolCodes() []Entry {
	newCode := Text{"在发证机上执行 payfleet ca code，用新的入网码重试", "Run payfleet ca code at the authority and try again with the new code"}
	e := func(code string, c, next, it Text) Entry { return Entry{code, askCashier(), c, next, it} }
	return []Entry{
		e("code_unknown", Text{"入网码不对", "The code is wrong"}, Text{"核对入网码（连错 5 次作废），或换一个新码", "Check the code (five wrong ones end it), or get a new one"}, Text{"没有这个入网码，或其中的密钥部分不对", "There is no such code, or its secret part is wrong"}),
		e("code_used", Text{"入网码已被使用", "The code was used before"}, Text{"若不是本机用的：执行 payfleet ca revoke {detail} 吊销那张证书，再领新码", "If it was not this box: end that certificate with payfleet ca revoke {detail}, then make a new code"},
			Text{"入网码只能用一次，属于机器 {detail}；同一台机器中断后可用原码重试", "A code counts once and belongs to box {detail}; the same box may repeat itself after an interruption"}),
		e("code_expired", Text{"入网码已过期", "The code has expired"}, newCode, Text{"机器 {detail} 的入网码过了有效期", "The code for box {detail} is past its time"}),
		e("code_locked", Text{"入网码已作废", "The code is dead"}, newCode, Text{"机器 {detail} 的入网码输错太多次：可能有人在试", "The code for box {detail} was wrong too often: somebody may be guessing"}),
		e("wrong_box", Text{"入网码属于另一台机器", "The code is for another box"}, Text{"用 {detail} 的配置使用此码，或为本机另领一个", "Use it at {detail}, or get one for this box"}, Text{"入网码绑定医院和机器名", "A code is bound to a hospital and a box"}),
		e("request_bad", Text{"请求无法识别", "The request cannot be read"}, Text{"升级 payagent 后重试；仍不行请联系厂商", "Upgrade payagent and try again; else ask the vendor"}, Text{"证书请求格式、签名或密钥类型不对（只收 P-256 和 Ed25519）", "Form, signature or kind of key of the request (P-256 and Ed25519 are taken)"}),
		e("certificate_revoked", Text{"本机证书已被吊销", "The certificate of this box was revoked"}, newCode, Text{"机器 {detail} 的证书在吊销列表中", "The certificate of box {detail} is on the list of revoked ones"}),
		e("certificate_not_ours", Text{"证书不是本系统签发的", "The certificate is not of this authority"}, newCode, Text{"没有出示证书，或证书由别的发证机签发", "None was shown, or another authority issued it"}),
		e("certificate_too_old", Text{"本机证书过期太久", "The certificate of this box ended too long ago"}, newCode, Text{"机器 {detail} 的证书过期超过 30 天，不能再凭它续签", "The certificate of box {detail} ended more than 30 days ago and renews nothing"}),
		e("not_due", Text{"证书还不到续签的时候", "The certificate is not due yet"}, Text{"无需操作；若本机认为已过期，请校准时钟", "Nothing to do; if this box thinks otherwise, set its clock"}, Text{"以发证机的时钟为准：寿命的三分之二之后才续签", "By the authority's clock: renewed after two thirds of its life"}),
		e("too_many", Text{"尝试次数过多", "Too many tries"}, Text{"10 分钟后再试", "Try again in ten minutes"}, Text{"同一地址的错误入网码过多", "Too many wrong codes from one address"}),
		e("authority_broken", Text{"发证机出错", "The authority failed"}, Text{"查看 payfleet ca serve 的日志（磁盘、文件权限）", "Look at the log of payfleet ca serve (disk, rights of its files)"}, Text{"发证机内部错误，请求可以重复", "An error inside; the request may be repeated"}),
	}
}

func certificateAlarms() []Entry {
	renew := Text{"联系信息科：检查 fleet.ca_url 是否可达，或更换证书文件", "Call IT: can fleet.ca_url be reached? Else replace the file"}
	a := func(code string, c, it Text) Entry { return Entry{code, askCashier(), c, renew, it} }
	which := Text{"哪一张见日志、payagent doctor 和 payagent_certificate_days_left", "Which one: the log, payagent doctor, payagent_certificate_days_left"}
	return []Entry{
		a("certificate_30_days", Text{"有证书将在 30 天内到期", "A certificate ends within 30 days"}, which),
		a("certificate_7_days", Text{"有证书将在 7 天内到期", "A certificate ends within 7 days"}, which),
		a("certificate_1_day", Text{"有证书将在 1 天内到期", "A certificate ends within a day"}, which),
		a("certificate_expired", Text{"有证书已过期", "A certificate has ended"}, which),
	}
}
