package docgen

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"payagent/devices/models"
)

// ModelsPage is docs/models.md: every scanner model that is built in.
func ModelsPage(set models.Set) string {
	var b strings.Builder
	b.WriteString(`# 扫码设备型号 Scanner models

由程序生成，请勿手改。每个型号是 devices/models 里的一个 YAML 文件；在现场的文件夹（配置键 devices.models_dir）里放一个同样格式的文件，就增加或替换一个型号。
配置里写 ` + "`model: 型号`" + `，它的设置就是该驱动 options 的默认值。
Generated, do not edit. Each model is one YAML file in devices/models; a file of the same form in the site's own folder (configuration key
devices.models_dir) adds or replaces one. ` + "`model: ID`" + ` in the configuration makes its settings the defaults of the driver's options.

依据 known from：manual 厂家手册；public code 公开程序；general 无公开资料，按通用设备处理。没有一个型号在这里用实物试过（见 [devices.md](devices.md)）。
What it is known from: manual, the maker's documents; public code, programs that talk to it; general, nothing public, treated like any such
device. No physical scanner was tried here, see [devices.md](devices.md).

`)
	head(&b, "型号 model", "厂家与名称 maker and name", "USB", "接口与驱动 interfaces and drivers", "动作 actions", "依据 known from")
	for _, id := range set.IDs() {
		m, _ := set.Get(id)
		var ids, ways, acts []string
		for _, u := range m.IDs {
			product := u.Product
			if product == "" {
				product = "*"
			}
			ids = append(ids, strings.TrimSpace("`"+u.Vendor+":"+product+"` "+u.Interface))
		}
		for _, name := range slices.Sorted(maps.Keys(m.Interfaces)) {
			i := m.Interfaces[name]
			ways = append(ways, fmt.Sprintf("%s: `%s`", name, i.Driver))
			if a, ok := i.Options["actions"].(map[string]any); ok {
				acts = append(acts, slices.Sorted(maps.Keys(a))...)
			}
		}
		slices.Sort(acts)
		row(&b, "`"+id+"`", m.Maker.ZH+" "+m.Name.ZH+"\n"+m.Maker.EN+" "+m.Name.EN, strings.Join(ids, "\n"),
			strings.Join(ways, "\n"), strings.Join(slices.Compact(acts), ", "), m.Known)
	}
	b.WriteString("\n## 设置码与建议 Set-up codes and advice\n\n`payagent devices learn --sheet FILE.html` 把能打印的设置码打印出来。 prints those that can be printed.\n")
	for _, id := range set.IDs() {
		m, _ := set.Get(id)
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n%s\n", id, m.Advice.ZH, m.Advice.EN)
		if m.Source != "" {
			fmt.Fprintf(&b, "\n来源 source: %s\n", m.Source)
		}
		if len(m.SetupCodes) > 0 {
			b.WriteString("\n")
			head(&b, "作用 what", "内容 code", "形式 form", "来源 source")
			for _, c := range m.SetupCodes {
				row(&b, c.What.ZH+"\n"+c.What.EN, "`"+c.Code+"`", c.Symbology, c.Source)
			}
		}
	}
	return b.String()
}
