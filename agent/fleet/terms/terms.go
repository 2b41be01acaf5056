// Package terms is what the fleet's own words are called in Chinese and
// English, for payfleet and its console: states of boxes, of commands and of
// roll-outs, the kinds of a timeline's lines, and the values of what boxes show
// of themselves. What boxes report (alarms, reasons) is in agent/words.
package terms

import (
	"strings"

	"payagent/agent/fleet"
	"payagent/agent/fleet/rollout"
	"payagent/agent/fleet/view"
	"payagent/agent/words"
)

// All gives every term by group and code. The group "value." and the name of a
// field has the codes that may stand in it.
func All() map[string]map[string]words.Text {
	t := func(zh, en string) words.Text { return words.Text{ZH: zh, EN: en} }
	all := map[string]map[string]words.Text{
		"state": {
			fleet.StateInit: t("启动中", "starting"), fleet.StateReady: t("正常", "ready"), fleet.StateAlert: t("有问题", "alert"),
			fleet.StateGone: t("已关机", "switched off"), fleet.StateLost: t("失联", "lost"), fleet.StateUnknown: t("未知", "unknown"),
		},
		"command": {
			"": t("已发送，尚无回音", "sent, no answer yet"), fleet.Accepted: t("已接收，等待时机", "accepted, waits for its moment"), fleet.Running: t("执行中", "running"),
			fleet.Succeeded: t("成功", "succeeded"), fleet.Failed: t("失败", "failed"), fleet.Expired: t("过期未执行", "expired"), fleet.Refused: t("拒绝", "refused"),
		},
		"verb": {
			fleet.VerbRestart: t("重启程序", "restart"), fleet.VerbConfigApply: t("应用配置", "apply configuration"), fleet.VerbConfigRollback: t("回退配置", "roll configuration back"),
			fleet.VerbLogUpload: t("取日志", "fetch the log"), fleet.VerbDiag: t("取诊断包", "fetch diagnostics"), fleet.VerbDevicesTest: t("测试设备", "test devices"),
			fleet.VerbResolveNow: t("立即查询待核实订单", "query open orders now"), fleet.VerbUpdate: t("升级程序", "update"), fleet.VerbRenew: t("换发证书", "renew the certificate"),
		},
		"phase": {
			rollout.Running: t("进行中", "running"), rollout.Paused: t("已暂停", "paused"), rollout.Stopped: t("自动停止", "stopped by itself"),
			rollout.Aborted: t("已中止", "aborted"), rollout.Done: t("完成", "done"),
		},
		"why": {
			rollout.WhyFailures: t("失败过多", "too many failed"), rollout.WhyRolledBack: t("有机器退回了旧版本", "a box went back to what it had"),
			rollout.WhyLost: t("有机器失联或状态变差", "a box was lost or is worse off"), rollout.WhyGaveUp: t("部分机器一直不在线", "some boxes were never there"),
		},
		// The parts of a box's page, and the names of what it says there.
		"part": {
			"alarms": t("报警", "Alarms"), "twin": t("盘点", "Inventory"), "devices": t("设备", "Devices"), "reported": t("配置上报", "Configuration as reported"),
			"can": t("可接受的命令", "Verbs it takes"), "commands": t("命令", "Commands"), "timeline": t("经过", "Timeline"),
			"agent": t("程序与主机", "program and machine"), "config": t("配置", "configuration"), "disk": t("磁盘", "disk"), "clock": t("时钟", "clock"),
			"certificates": t("证书", "certificates"), "update": t("升级", "update"), "platforms": t("支付平台", "platforms"),
		},
		"field": {
			"version": t("版本", "version"), "open_orders": t("未结订单", "open orders"), "events_waiting": t("待确认事件", "events waiting"), "reasons": t("原因", "reasons"),
			"box_clock": t("本机时钟差", "its clock is off by"), "since": t("自", "since"), "state": t("状态", "state"), "build": t("构建", "build"), "go": t("Go", "Go"),
			"cgo": t("cgo", "cgo"), "os": t("系统", "system"), "arch": t("架构", "machine"), "kernel": t("内核", "kernel"), "system": t("发行版", "distribution"),
			"model": t("型号", "model"), "booted": t("开机于", "booted"), "memory_bytes": t("内存字节", "memory bytes"), "cpus": t("处理器", "processors"),
			"sha256": t("SHA-256", "SHA-256"), "edited": t("本机改过", "edited here"), "free_mb": t("剩余 MB", "free MB"), "total_mb": t("共 MB", "of MB"),
			"store_mb": t("存储 MB", "store MB"), "device": t("设备", "device"), "used_percent": t("闪存寿命已用 %", "flash life used %"), "skew_s": t("平台快（秒）", "platforms ahead (s)"),
			"synced": t("已同步", "synchronised"), "max_error_s": t("最大误差（秒）", "greatest error (s)"), "days_left": t("剩余天数", "days left"), "valid": t("有效", "valid"),
			"error": t("错误", "error"), "running": t("运行的", "running"), "base": t("安装的", "installed"), "current": t("当前", "current"), "previous": t("上一个", "previous"),
			"trial": t("试用中", "on trial"), "starts": t("试用启动次数", "starts of the trial"), "floor": t("最低版本", "floor"), "last": t("上次", "last"),
			"bad_tokens": t("被拒的令牌", "refused tokens"), "driver": t("驱动", "driver"), "uplink": t("出口", "way out"), "second_way": t("备用通路", "second way"), "up": t("可达", "reached"),
			"actions": t("动作", "actions"), "dirty": t("有乱码", "garbled"), "kind": t("种类", "kind"), "place": t("接口", "place"), "present": t("在", "present"),
			"reason": t("原因", "reason"), "role": t("用途", "rôle"), "serial": t("序列号", "serial number"), "silent": t("无响应", "silent"), "till": t("收费点", "till"),
			"usb": t("USB", "USB"), "line": t("行", "line"), "key": t("键", "key"), "text": t("说明", "text"), "code": t("代码", "code"), "count": t("次数", "count"),
			"document": t("下发的", "sent"), "problems": t("问题", "problems"), "keeps": t("保留本机的", "keeps its own"), "missing": t("试用缺", "the trial missed"), "aside": t("暂存的", "kept aside"), "note": t("备注", "note"), "changes": t("改动", "changes"), "needs_two": t("要两人签名", "takes two keys"),
			"percent": t("%", "%"), "at": t("自", "since"), "subjects": t("涉及", "about"), "name": t("名称", "name"),
		},
		"kind": {
			view.KindState: t("状态", "state"), view.KindVersion: t("版本", "version"), view.KindAlarm: t("报警", "alarm"), view.KindCleared: t("报警解除", "alarm ended"),
			view.KindEvent: t("事件", "event"), view.KindCommand: t("命令", "command"), view.KindReported: t("上报", "reported"),
		},
	}
	for field, codes := range values() {
		all["value."+field] = codes
	}
	return all
}

// Say gives a term in a language, zh or en; a code without one is itself.
func Say(lang, group, code string) string {
	t, ok := All()[group][code]
	switch {
	case !ok:
		return code
	case lang == "en":
		return t.EN
	}
	return t.ZH
}

// Value says what stands in a field of what a box shows; what stands behind a
// colon is what it is about.
func Value(lang, field, value string) string {
	code, about, _ := strings.Cut(value, ":")
	text := Say(lang, "value."+field, code)
	if text == code {
		return value
	}
	if about != "" {
		text += " (" + about + ")"
	}
	return text
}
