package terms

import (
	"strings"

	"payagent/agent/fleet"
	"payagent/agent/trial"
	"payagent/agent/words"
)

// values are the words for values that are codes, by the name of their field.
func values() map[string]map[string]words.Text {
	t := func(zh, en string) words.Text { return words.Text{ZH: zh, EN: en} }
	version := map[string]words.Text{fleet.ConfigLocal: t("本机文件", "the file on the box"), "base": t("安装包的", "the package's")}
	reasons := map[string]words.Text{
		// What became of a trial.
		trial.NotProven: t("试用未通过", "did not prove itself"), trial.NotStarted: t("三次启动未成", "three starts without proof"),
		trial.Unusable: t("读不出或无法使用", "cannot be read or used"), trial.Superseded: t("已被更新的取代", "superseded"),
		trial.TakenBack: t("已人工退回", "taken back"), trial.StartFailed: t("启动出错", "ended with an error"), trial.WrongItself: t("版本与签名不符", "says that it is another version"),
		"rolled_back": t("已退回", "rolled back"),
		// Why a configuration or a program was not taken.
		"already": t("已在使用", "in use already"), "bad_document": t("清单格式错误", "the document is malformed"), "below_floor": t("低于最低版本", "below the floor"),
		"edited": t("本机文件改过", "the file on the box was changed"), "invalid": t("内容有错", "it is not valid"),
		"no_keys": t("没有密钥", "no keys are configured"), "not_as_signed": t("与签名不符", "not as it was signed"), "not_fetched": t("下载失败", "could not be fetched"),
		"not_staged": t("尚未下发", "was not staged"), "nothing_before": t("没有上一个版本", "nothing is before it"), "older": t("比已有的旧", "older than what is here"),
		"other_bytes": t("同版本不同内容", "the same version with other bytes"), "store_newer": t("数据已是新格式", "the data are of a newer program"),
		"two_keys": t("须两人签名", "takes two keys"), "wrong_machine": t("不适合这种机器", "not for this machine"), "not_restarted": t("未能重启", "was not restarted"),
	}
	missing := map[string]words.Text{"store": t("存储", "the store"), "door": t("接口", "the door"), "broker": t("消息服务器", "the broker"),
		"platform": t("支付平台", "the platform"), "scanner": t("扫码设备", "the scanner")}
	for code, text := range reasons {
		missing[code] = text
	}
	return map[string]map[string]words.Text{
		"state": {
			fleet.ConfigNone: t("没有下发过", "nothing was ever sent"), fleet.ConfigStaged: t("已下发，待应用", "staged, waits for config.apply"), fleet.ConfigRefused: t("不接受", "not taken"),
			fleet.ConfigTrial: t("试用中", "on trial"), fleet.ConfigCommitted: t("已生效", "in effect and proven"), fleet.ConfigRolledBack: t("已退回", "rolled back"),
			fleet.ConfigAside: t("暂存，程序读不懂", "kept aside, for a newer program"),
			"normal":          t("正常", "normal"), "warning": t("将尽", "low"), "urgent": t("告急", "urgent"), // of flash
		},
		"version": version, "previous": version, "current": version, "base": version, "trial": version,
		"missing": missing, "reason": reasons,
		"kind":  {"scanner": t("扫码设备", "scanner"), "display": t("显示", "display")},
		"role":  {"gun": t("收费员扫码枪", "the cashier's gun"), "pad": t("患者扫码盒", "the patient's pad")},
		"error": {"cannot_read": t("读不出", "cannot be read")},
	}
}

// Codes are the words for what boxes say of themselves in codes: alarms, and why
// they are not ready or do not do something.
func Codes() map[string]words.Text {
	catalogue, all := words.New(), map[string]words.Text{}
	for _, g := range []words.Group{words.Problem, words.Device, words.Reason, words.Enrol, words.Alarm, words.Fleet} {
		for _, code := range catalogue.Codes(g) {
			e, _ := catalogue.Find(g, code)
			all[code] = e.Cashier
		}
	}
	for code, text := range values()["reason"] {
		if _, ok := all[code]; !ok {
			all[code] = text
		}
	}
	return all
}

// Code says one of those codes; what stands behind a colon is what it is about.
// A code that is not known is itself.
func Code(codes map[string]words.Text, lang, whole string) string {
	code, about, _ := strings.Cut(whole, ":")
	if code == "alarm" {
		return Code(codes, lang, about)
	}
	t, ok := codes[code]
	switch {
	case !ok:
		return whole
	case lang == "en":
		code = t.EN
	default:
		code = t.ZH
	}
	if about != "" {
		code += " (" + about + ")"
	}
	return code
}
