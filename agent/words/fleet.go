package words

// What a box says to those who look after many: why it is not ready, and why a
// command was refused or waits. Patients and cashiers never read it.

func fleetCodes() []Entry {
	e := func(code string, c, next, it Text) Entry { return Entry{code, askCashier(), c, next, it} }
	sign := Text{"重新签名后再发", "Sign it anew and send it again"}
	look := Text{"查看该机器的日志", "Look at the box's log"}
	return []Entry{
		// Why a box is not ready, beside those of the group problem.
		e("store_not_fresh", Text{"存储或主循环没有及时应答", "Store or loop did not answer in time"}, look, Text{"5 秒内没有完成一次写入检查", "No answer through counter and store within 5 s"}),
		e("clock_wrong", Text{"本机时钟不对", "The clock is wrong"}, Text{"校准时钟，检查时间同步", "Set the clock, check the time server"}, Text{"时钟早于已知的时间，或平台、消息服务器的证书按此时钟无效；冒号后是平台名", "The clock is before a time that is known to have passed, or a certificate does not count by it; behind the colon: the platform"}),
		e("scanner_absent", Text{"扫码设备不在", "A scanner is absent"}, Text{"检查插头与供电", "Check plug and power"}, Text{"冒号后是收费点.设备", "Behind the colon: till.device"}),
		e("platform_not_seen", Text{"三分钟没有平台的应答", "No answer of the platform for three minutes"}, Text{"检查网络", "Check the network"}, Text{"探测没有成功过，或已过时；冒号后是平台名", "No probe succeeded, or it is too old; behind the colon: the platform"}),
		e("alarm", Text{"有未解除的报警", "An alarm lasts"}, Text{"查看 a/ 下的报警", "See the alarms at a/"}, Text{"冒号后是报警代码", "Behind the colon: the alarm's code"}),
		// Why a command waits, is refused or failed.
		e("payment_lock", Text{"等待收费点空闲", "Waits until the tills are free"}, nothing(), Text{"有订单未结束、收费点正在使用或不在允许的时段（fleet.window）", "An order is open, a till is in use, or it is outside fleet.window"}),
		e("too_large", Text{"命令或结果过大", "The command or its result is too large"}, Text{"缩小范围后再发", "Ask for less"}, Text{"上限见 docs/mqtt.md", "The bounds are in docs/mqtt.md"}),
		e("not_signed", Text{"签名不对", "It is not signed"}, sign, Text{"不是 fleet.keys 中的密钥签的，或内容被改动", "No key of fleet.keys signed it, or it was changed"}),
		e("malformed", Text{"格式不对", "It is malformed"}, sign, Text{"与 docs/mqtt.md 不符，或编号、命令与主题不一致", "Not as docs/mqtt.md has it, or id or verb are not those of the topic"}),
		e("other_box", Text{"是给另一台机器的", "It is for another box"}, sign, Text{"site 或 box 不是本机", "site or box is not this one"}),
		e("unknown_verb", Text{"本机没有这个命令", "This box has no such verb"}, Text{"见 cap/", "See cap/"}, Text{"程序版本过旧，或命令不存在", "The program is too old, or the verb does not exist"}),
		e("role", Text{"签名的密钥无权", "The key may not order it"}, Text{"用有权的密钥签名", "Sign with a key of the right rôle"}, Text{"角色与命令的对应见 docs/mqtt.md", "Which rôle for which verb: docs/mqtt.md"}),
		e("id_used", Text{"编号已用于别的命令", "The id was used for another command"}, Text{"换一个编号", "Take a new id"}, Text{"同一编号只接受同一内容", "One id, one content"}),
		e("bad_term", Text{"有效期不对", "Its term is wrong"}, sign, Text{"须晚于签发，且在 7 天以内", "It must expire after it was issued, within 7 days"}),
		e("expired", Text{"已过期", "It has expired"}, sign, Text{"到达或轮到时已过期；检查本机时钟", "Expired when it came or when its turn came; check the box's clock"}),
		e("counter", Text{"计数不够新", "Its counter is not new"}, sign, Text{"须大于同一密钥上一条命令的计数：可能是重放", "It must be above that of the key's last command: a replay perhaps"}),
		e("too_many", Text{"未完成的命令过多", "Too many commands are not finished"}, Text{"稍后再发", "Wait"}, Text{"最多 32 条", "32 at most"}),
		e("interrupted", Text{"执行中被重启打断", "A restart interrupted it"}, Text{"查看后重发", "Look, then send it anew"}, Text{"这个命令不能在重启后继续", "This verb does not go on after a restart"}),
		e("bad_args", Text{"参数不对", "Its arguments are wrong"}, Text{"见 cap/ 中的格式", "See the schema at cap/"}, Text{"与 JSON schema 不符", "Not as the JSON schema has it"}),
		e("no_device", Text{"没有这个设备", "There is no such device"}, Text{"见 dev/", "See dev/"}, Text{"名称不在配置中", "The name is not configured"}),
		e("device_failed", Text{"设备没有通过检查", "The device failed"}, Text{"检查插头与供电", "Check plug and power"}, Text{"见结果中的 error", "See error in the result"}),
		e("no_log", Text{"没有日志文件", "There is no log to read"}, Text{"在本机用 journalctl 查看，或配置 log.file", "Use journalctl at the box, or configure log.file"}, Text{"日志交给了服务管理器，或参数不对", "The log goes to the service manager, or the query is wrong"}),
		e("failed", Text{"执行失败", "It failed"}, look, Text{"见 text", "See text"}),
	}
}

func fleetAlarms() []Entry {
	a := func(code string, c, it Text) Entry { return Entry{code, askCashier(), c, callIT(), it} }
	return []Entry{
		a("device_absent", Text{"扫码或显示设备不在", "A scanner or display is absent"}, Text{"不在 10 秒以上：插头、供电、驱动", "Away for more than 10 s: plug, power, driver"}),
		a("platform_unreachable", Text{"支付平台无法连接", "The platform cannot be reached"}, Text{"检查网络、代理、前置机", "Check network, proxy, front-end machine"}),
		a("disk_low", Text{"本机磁盘将满", "The disk is nearly full"}, Text{"低于 store.stop_below：新收款已暂停", "Below store.stop_below: no new orders"}),
		a("clock_skew", Text{"本机时钟与平台相差 30 秒以上", "The clock differs from the platform's by 30 s or more"}, Text{"检查时间同步", "Check the time server"}),
		a("clock_wrong", Text{"本机时钟不对", "The clock of this machine is wrong"}, Text{"校准时钟：timedatectl set-time，或启用 NTP；检查电池。证书按已知的最晚时间核验，从不跳过", "Set the clock: timedatectl set-time, or NTP; look at its battery. Certificates are verified at the latest time that is known, never skipped"}),
		a("disk_worn", Text{"存储芯片接近寿命", "The flash is near the end of its life"}, Text{"寿命用去 90% 以上：安排更换", "More than 90 % of its life is used: plan its replacement"}),
		a("fleet_kicked", Text{"另一台机器使用了本机的名称", "Another box uses our name"}, Text{"fleet.box 重复，或证书被复制：核对两台机器", "fleet.box is there twice, or the certificate was copied: compare the boxes"}),
		a("fleet_hub_silent", Text{"汇总端长时间没有确认事件", "The hub has acknowledged nothing for long"}, Text{"10 分钟没有确认：检查 payfleet hub；没有汇总端时写 fleet.ack: puback", "Nothing for 10 minutes: check payfleet hub; without one write fleet.ack: puback"}),
		a("command_retained", Text{"收到被代理服务器保留的命令，已清除", "A retained command came and was cleared"}, Text{"命令不得保留：检查发送方", "Commands are never retained: check who sends them"}),
		a("command_refused", Text{"多次收到签名不对的命令", "Commands came that were not signed"}, Text{"10 分钟内三次：有人在试，或密钥配置不一致", "Three within 10 minutes: somebody tries, or keys are not configured alike"}),
	}
}
