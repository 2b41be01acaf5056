// Package terms is what the fleet's own words are called in Chinese and
// English, for payfleet and its console: states of boxes, of commands and of
// roll-outs, and the kinds of a timeline's lines. What boxes report (alarms,
// reasons) is in agent/words.
package terms

import (
	"payagent/agent/fleet"
	"payagent/agent/fleet/rollout"
	"payagent/agent/fleet/view"
	"payagent/agent/words"
)

// All gives every term by group and code.
func All() map[string]map[string]words.Text {
	t := func(zh, en string) words.Text { return words.Text{ZH: zh, EN: en} }
	return map[string]map[string]words.Text{
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
		"kind": {
			view.KindState: t("状态", "state"), view.KindVersion: t("版本", "version"), view.KindAlarm: t("报警", "alarm"), view.KindCleared: t("报警解除", "alarm ended"),
			view.KindEvent: t("事件", "event"), view.KindCommand: t("命令", "command"), view.KindReported: t("上报", "reported"),
		},
	}
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
