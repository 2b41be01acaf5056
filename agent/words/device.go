package words

// deviceCodes say why a scanner or display is away, and hints about one that
// is there.
func deviceCodes() []Entry {
	d := func(code string, c, next, it Text) Entry {
		return Entry{code, askCashier(), c, next, it}
	}
	cable := Text{"检查连接线和电源", "Check cable and power"}
	return []Entry{
		d("absent", Text{"设备未插入", "The device is not plugged in"}, cable, Text{"没有符合配置的设备，见 payagent devices list", "No device fits the configuration, see payagent devices list"}),
		d("gone", Text{"设备已断开", "The device is gone"}, cable, Text{"读取时断开；代理会自动重新打开", "It went away while being read; the agent opens it again by itself"}),
		d("several", Text{"有多台同样的设备，无法确定是哪一台", "Several devices fit, it is not clear which"}, callIT(), Text{"在配置中写明端口（port）", "Name its port in the configuration"}),
		d("no_permission", Text{"无权打开设备", "The device may not be opened"}, callIT(), Text{"检查设备文件权限（udev 规则、用户组）", "Check the rights on the device file (udev rule, group)"}),
		d("cannot_open", Text{"设备打不开", "The device cannot be opened"}, callIT(), Text{"打开失败，原因见日志", "Opening failed, the log says why"}),
		d("display_failed", Text{"显示屏没有响应", "The display does not answer"}, cable, Text{"显示失败；不影响收款，代理会自动重试", "Showing failed; payments go on, the agent tries again"}),
		d("swapped", Text{"两台扫码设备可能换了位置", "Two scanners may have changed places"}, Text{"核对每台扫码设备在正确的窗口", "Check that each scanner stands at its till"}, Text{"序列号与端口的对应关系变了，见日志", "Serial numbers and ports no longer agree, see the log"}),
		d("dirty", Text{"扫码窗可能脏了", "The scanner's window may be dirty"}, Text{"擦拭扫码窗；不见好请联系信息科", "Wipe its window; call IT if that does not help"}, Text{"最近 50 次读取中坏码超过 15%", "More than 15 % of the last 50 reads were bad"}),
		d("silent", Text{"扫码设备很久没有读到码", "The scanner has read nothing for long"}, Text{"用任意条码试读一次", "Try it with any barcode"}, Text{"24 小时没有任何读取", "No read for 24 hours"}),
	}
}

// scannerStates say what the scanners of a till are doing (DEV-01).
func scannerStates() []Entry {
	return []Entry{
		{"closed", Text{"请等待收费员", "Please wait for the cashier"}, Text{"扫码设备空闲", "The scanner is idle"}, nothing(), Text{"读到的码都会丢弃", "Whatever is read is dropped"}},
		{"claimed", Text{"请等待收费员", "Please wait for the cashier"}, Text{"扫码枪可读就诊卡", "The scanner reads cards"}, Text{"扫就诊卡、身份证或医保码", "Scan a hospital card, an identity card or an insurance code"},
			Text{"非付款码发给申领的会话，付款码丢弃", "Cards go to the client that claimed it, payment codes are dropped"}},
		{"armed", Text{"请出示付款码", "Please show your payment code"}, Text{"等待扫付款码", "Waiting for a payment code"}, Text{"引导患者将付款码对准扫码设备", "Let the patient hold the code to the scanner"}, Text{"一个订单只取一个付款码", "One order takes one code"}},
		{"fault", Text{"扫码设备未连接，请稍候", "The scanner is not connected, please wait"}, Text{"没有可用的扫码设备", "No scanner works"},
			Text{"检查扫码设备的连接线；接好后直接扫码", "Check the scanner's cable; scan as soon as it is back"}, Text{"本收费点的扫码设备均不可用", "All scanners of this till are away"}},
	}
}
