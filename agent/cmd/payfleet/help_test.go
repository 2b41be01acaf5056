package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/view"
)

// TestHelp: every command tells what it does, with examples whose flags it has.
func TestHelp(t *testing.T) {
	text, err := fleetRun("--help")
	if err != nil || text != usage {
		t.Error(err)
	}
	names := map[string]bool{}
	for line := range strings.Lines(usage) {
		if words := strings.Fields(line); strings.HasPrefix(line, "  payfleet ") && words[1] != "version" && words[1] != "COMMAND" {
			names[words[1]] = true
		}
	}
	if len(names) != len(examples()) || len(names) < 13 {
		t.Errorf("%d commands, examples of %d", len(names), len(examples()))
	}
	for name := range names {
		n := 0
		for line := range strings.Lines(examples()[name]) {
			words := strings.Fields(line)
			if len(words) == 0 {
				continue
			}
			n++
			if words[0] != "payfleet" || words[1] != name {
				t.Errorf("an example of %s: %s", name, line)
			}
			// The flags before --help are read first.
			out, err := fleetRun(append(words[1:], "--help")...)
			if err != nil || !strings.Contains(out, "payfleet "+name) || !strings.Contains(out, strings.TrimSpace(line)) || !strings.Contains(out, "参数 Flags") || strings.Contains(out, "Usage of") {
				t.Errorf("%s--help gives %v\n%s", line, err, out)
			}
		}
		if n == 0 {
			t.Error(name, "has no example")
		}
		for _, args := range [][]string{{name, "--help"}, {name, "-h"}, {name, "help"}, {"help", name}} {
			if out, err := fleetRun(args...); err != nil || !strings.Contains(out, "例 Examples") {
				t.Errorf("%v gives %v\n%s", args, err, out)
			}
		}
	}
	for _, args := range [][]string{{"fly"}, {"fly", "--help"}, {"ls", "--wings", "--help"}, {"ca", "fly", "--help"}} {
		if _, err := fleetRun(args...); !errors.Is(err, errUsage) {
			t.Errorf("%v gives %v", args, err)
		}
	}
}

// TestShowPage: a box for people has words in their language, no JSON, no time
// that is none, and says where an age cannot be known.
func TestShowPage(t *testing.T) {
	raw := func(v string) json.RawMessage { return json.RawMessage(v) }
	b := view.Box{Row: view.Row{Key: view.Key{Site: "H1", Box: "B1"}, State: fleet.StateUnknown, Said: fleet.StateReady, AgeS: 400, SinceS: -1, Version: "1.4.0", Open: 2, Waiting: 3, SkewS: 95,
		Reasons: []string{"platform_unreachable:bank"}},
		Active: map[string]view.Aged{"clock_skew": {AgeS: -1, Data: raw(`{"code":"clock_skew","since":"0001-01-01T00:00:00Z","last":"0001-01-01T00:00:00Z","count":4,"subjects":["bank"],"text":{"zh":"时钟不准","en":"wrong clock"}}`)}},
		Twin: map[string]view.Aged{"platforms": {AgeS: 130, Data: raw(`{"at":"2026-03-14T12:00:00Z","platforms":[{"name":"bank","driver":"fwc","up":false},{"name":"zhifu","driver":"smartpay","up":true}]}`)},
			"agent": {AgeS: 3, Data: raw(`{"at":"2026-03-14T12:00:00Z","version":"1.4.0","booted":"0001-01-01T00:00:00Z","cgo":true,"cpus":4}`)},
			"disk":  {AgeS: 90000, Data: raw(`{"at":"2026-03-14T12:00:00Z","free_mb":12,"used_percent":-1,"new_key":"\u001b[2J"}`)}},
		Devices:  map[string]view.Aged{"c1.pad": {AgeS: 5, Data: raw(`{"at":"2026-03-14T12:00:00Z","name":"pad","till":"c1","kind":"scanner","present":false,"actions":["beep","lamp"]}`)}},
		Reported: map[string]view.Aged{"config": {AgeS: 5, Data: raw(`{"version":"7","sha256":"ab","state":"refused","document":8,"problems":[{"line":3,"key":"door.port","text":"is no port"}],"keeps":["fleet.box"],"since":"2026-03-14T12:00:00Z"}`)}},
		Can:      map[string]view.Aged{"restart": {AgeS: -1, Data: raw(`{"verb":"restart"}`)}},
		Commands: []view.Command{{CommandState: fleet.CommandState{ID: "x1", Verb: "restart", State: fleet.Failed, Text: "busy"}, AgeS: 60},
			{CommandState: fleet.CommandState{ID: "x2", Verb: "config.apply", State: fleet.Failed, Reason: "not_proven"}, AgeS: 70},
			{CommandState: fleet.CommandState{ID: "x3", Verb: "update", State: fleet.Refused, Reason: "role", Text: "签名的密钥无权：x The key may not order it: x"}, AgeS: 80}},
		Timeline: []view.Entry{{At: time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC), Kind: view.KindState, Code: fleet.StateLost},
			{At: time.Date(2026, 3, 14, 12, 1, 0, 0, time.UTC), Kind: view.KindReported, Code: "config", Text: fleet.ConfigStaged},
			{At: time.Date(2026, 3, 14, 12, 2, 0, 0, time.UTC), Kind: view.KindAlarm, Code: "audit_failed"}}}
	b.Twin["config"] = view.Aged{AgeS: 5, Data: raw(`{"at":"2026-03-14T12:00:00Z","version":"local","state":"rolled_back","edited":false}`)}
	b.Twin["update"] = view.Aged{AgeS: 5, Data: raw(`{"at":"2026-03-14T12:00:00Z","running":"1.4.0","base":"1.4.0","last":{"version":"1.5.0","reason":"not_started","missing":["platform:bank","door"]}}`)}
	for lang, want := range map[string][]string{
		"zh": {"未知（曾为正常）", "上报于 6 分钟前", "未结订单 2", "待确认事件 3", "本机时钟差 +95 s", "以下是它最后说的", "时钟不准", "4 次", "时间不明", "bank · 可达 否", "zhifu · 可达 是", "2 分钟前", "25 小时前",
			"闪存寿命已用 % 不明", "在 否", "动作 beep, lamp", "行 3 · 键 door.port · 说明 is no port", "保留本机的 fleet.box", "restart 重启程序", "失败 busy", "失联",
			"原因 支付平台无法连接 (bank)", "状态 不接受", "状态 已退回 · 版本 本机文件", "原因 三次启动未成", "试用缺 支付平台 (bank), 接口", "种类 扫码设备", "失败 试用未通过 (x2)", "拒绝 签名的密钥无权：x", "配置 已下发，待应用", "审计"},
		"en": {"unknown (was ready)", "said 6 min ago", "wrong clock", "4 times", "time not known", "bank · reached no", "keeps its own fleet.box", "25 h ago", "state not taken", "reason three starts without proof", "the trial missed the platform (bank), the door"},
	} {
		s := &session{connection: &connection{Lang: lang}}
		got := s.page(b)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: no %q in\n%s", lang, w, got)
			}
		}
		for _, bad := range []string{"{", "\"", "0001", "?", "\x1b", "T12:00", "rolled_back", "not_started", "not_proven", "audit_failed", "local"} {
			if strings.Contains(got, bad) {
				t.Errorf("%s: %q is in\n%s", lang, bad, got)
			}
		}
	}
}
