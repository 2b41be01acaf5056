package docgen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"payagent/agent/config"
)

// Option is one setting of a driver.
type Option struct {
	Key  string // below options, e.g. "transaction_codes.revoke"
	Type string
	Note string // the comment of the setting it is handed on as
}

// Driver is a member of a family with its settings.
type Driver struct {
	Name    string // as it stands in the configuration
	Under   string // the key that holds the settings
	options string // struct in the command
	config  string // file and struct that the settings are handed on to
	ZH, EN  string
}

// Drivers lists the drivers that have settings of their own.
func Drivers() []Driver {
	return []Driver{
		{"smartpay", "platforms[].options", "smartpayOptions", "platforms/smartpay/config.go Config", "智付 SmartPay", "SmartPay (WSGW)"},
		{"fwc", "platforms[].options", "fwcOptions", "platforms/fwc/config.go Config", "联空集成平台 FWC", "LinkingCloud FWC_IF"},
		{"lc", "platforms[].options", "lcOptions", "platforms/lc/config.go Config", "联空开放网关 lc", "LinkingCloud open gateway (lc.*)"},
		{"hid", "tills[].scanners[].options", "hidOptions", "devices/hid/hid.go Config; devices/hid/layout.go; devices/hid/text.go", "HID-POS 扫码设备（`driver: karalabe` 即 backend: karalabe）", "HID POS scanners (`driver: karalabe` is backend: karalabe)"},
		{"wedge", "tills[].scanners[].options", "wedgeOptions", "devices/wedge/wedge.go Config", "键盘口扫码设备（Linux）", "scanners that type like a keyboard (Linux)"},
		{"serial", "tills[].scanners[].options", "serialOptions", "devices/serial/serial.go Config; devices/internal/framing/framing.go Config", "串口扫码设备", "scanners on serial lines"},
		{"pole", "tills[].displays[].options", "poleOptions", "devices/pole/config.go Config; devices/pole/commands.go", "顾客显示屏（客显）", "customer displays on a pole"},
		{"panel", "tills[].displays[].options", "panelOptions", "devices/panel/panel.go Config", "小型图形屏", "small graphic displays"},
		{"lamp", "tills[].displays[].options", "lampOptions", "devices/lamp/lamp.go Config", "指示灯与蜂鸣器（GPIO）", "lamps and a buzzer on GPIO"},
		{"voice", "tills[].displays[].options", "voiceOptions", "devices/voice/voice.go Config", "语音播报", "spoken prompts"},
	}
}

// structs reads the structs of the Go files of a folder: names of fields in
// order, with type, tag and comment.
func structs(dir string) (map[string][]*ast.Field, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	out := map[string][]*ast.Field{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if t, ok := n.(*ast.TypeSpec); ok {
				if s, ok := t.Type.(*ast.StructType); ok {
					out[t.Name.Name] = s.Fields.List
				}
			}
			return true
		})
	}
	return out, nil
}

// spread puts the fields of embedded structs in their place.
func spread(fields []*ast.Field, all map[string][]*ast.Field) []*ast.Field {
	var out []*ast.Field
	for _, f := range fields {
		if t, ok := f.Type.(*ast.Ident); ok && len(f.Names) == 0 {
			out = append(out, spread(all[t.Name], all)...)
			continue
		}
		out = append(out, f)
	}
	return out
}

// Options reads a driver's settings from the struct that the command decodes
// them into, with the comments of the package they are handed on to.
func (d Driver) Options(root string) ([]Option, error) {
	all, err := structs(filepath.Join(root, "agent/cmd/payagent"))
	if err != nil {
		return nil, err
	}
	fields, ok := all[d.options]
	if !ok {
		return nil, fmt.Errorf("cannot list the settings of driver %s: there is no struct %s", d.Name, d.options)
	}
	fields = spread(fields, all)
	told, err := readComments(root, d.config)
	if err != nil {
		return nil, err
	}
	var list []Option
	add := func(prefix, note string, f *ast.Field, n *ast.Ident) {
		// What only the command knows stands at the command's own field.
		if own := strings.Join(strings.Fields(f.Doc.Text()), " "); own != "" {
			note = own
		}
		list = append(list, Option{Key: prefix + keyOf(f, n.Name), Type: typeOf(f.Type), Note: note})
	}
	for _, f := range fields {
		for _, n := range f.Names {
			inner, ok := f.Type.(*ast.StructType)
			if !ok {
				add("", told.of(n.Name), f, n)
				continue
			}
			for _, g := range inner.Fields.List {
				for _, m := range g.Names {
					add(keyOf(f, n.Name)+".", told.of(n.Name), g, m)
				}
			}
		}
	}
	for i := range list {
		list[i].Note = told.inKeys(list[i].Note, fields)
	}
	return list, nil
}

// comments is what the packages say that a driver's settings are handed on to.
type comments struct {
	fields map[string]string // by field
	types  map[string]string // by field: its type, where it is named
	docs   map[string]string // by type
	values map[string]string // by constant
	ofType map[string][]string
}

func readComments(root, places string) (comments, error) {
	c := comments{fields: map[string]string{}, types: map[string]string{}, docs: map[string]string{}, values: map[string]string{}, ofType: map[string][]string{}}
	for _, place := range strings.Split(places, "; ") {
		file, name, _ := strings.Cut(place, " ")
		tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ParseComments)
		if err != nil {
			return c, err
		}
		for _, d := range tree.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					c.constant(s)
				case *ast.TypeSpec:
					c.docs[s.Name.Name] = strings.Join(strings.Fields(g.Doc.Text()), " ")
					if t, ok := s.Type.(*ast.StructType); ok && s.Name.Name == name {
						c.config(t.Fields.List)
					}
				}
			}
		}
	}
	return c, nil
}

func (c comments) constant(s *ast.ValueSpec) {
	for i, n := range s.Names {
		if i >= len(s.Values) {
			continue
		}
		lit, ok := s.Values[i].(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			continue
		}
		if text, err := strconv.Unquote(lit.Value); err == nil && text != "" {
			c.values[n.Name] = text
			if t, ok := s.Type.(*ast.Ident); ok {
				c.ofType[t.Name] = append(c.ofType[t.Name], text)
			}
		}
	}
}

// config takes the comments of a struct's fields. A comment may speak of the
// fields below it as well ("A stands before …, B behind …").
func (c comments) config(fields []*ast.Field) {
	last := ""
	for _, f := range fields {
		text := strings.Join(strings.Fields(f.Doc.Text()+" "+f.Comment.Text()), " ")
		if f.Doc != nil {
			last = text
		}
		for _, n := range f.Names {
			c.fields[n.Name] = text
			if text == "" && regexp.MustCompile(`\b`+n.Name+`\b`).MatchString(last) {
				c.fields[n.Name] = last
			}
			if t, ok := f.Type.(*ast.Ident); ok {
				c.types[n.Name] = t.Name
			}
		}
	}
}

// of says what a field means: its comment, else its type's, with the values
// that it may have.
func (c comments) of(field string) string {
	text := c.fields[field]
	if text == "" {
		text = c.docs[c.types[field]]
	}
	values := c.ofType[c.types[field]]
	if len(values) == 0 { // constants without a type, named after the field
		for name, v := range c.values {
			if strings.HasPrefix(name, field) && name != field {
				values = append(values, v)
			}
		}
		slices.Sort(values)
	}
	if len(values) > 0 {
		text += " (`" + strings.Join(values, "`, `") + "`)"
	}
	return strings.TrimSpace(text)
}

// inKeys writes the Go names in a comment as the keys and values that they
// are in the file.
func (c comments) inKeys(text string, fields []*ast.Field) string {
	names := map[string]string{}
	for name, v := range c.values {
		names[name] = v
	}
	for _, f := range fields {
		for _, n := range f.Names {
			names[n.Name] = keyOf(f, n.Name)
		}
	}
	word := regexp.MustCompile(`[A-Za-z][A-Za-z0-9]*`)
	return word.ReplaceAllStringFunc(text, func(w string) string {
		if key, ok := names[w]; ok && unicode.IsUpper(rune(w[0])) {
			return code(key)
		}
		return w
	})
}

// keyOf gives the key of a field as package config reads it: the yaml tag, or
// the name in snake_case.
func keyOf(f *ast.Field, name string) string {
	if f.Tag != nil {
		if text, err := strconv.Unquote(f.Tag.Value); err == nil {
			if key, _, _ := strings.Cut(reflect.StructTag(text).Get("yaml"), ","); key != "" {
				return key
			}
		}
	}
	return snake(name)
}

func snake(name string) string {
	var b strings.Builder
	r := []rune(name)
	for i, c := range r {
		if unicode.IsUpper(c) && i > 0 && (!unicode.IsUpper(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

func typeOf(e ast.Expr) string {
	switch t := e.(type) {
	case *ast.Ident:
		switch t.Name {
		case "bool":
			return "true/false"
		case "int":
			return "number"
		}
		return "text"
	case *ast.ArrayType:
		return "list of " + typeOf(t.Elt)
	case *ast.MapType:
		return "table of " + typeOf(t.Value)
	case *ast.SelectorExpr:
		return "duration"
	}
	return "text"
}

// DriversPage writes docs/drivers.md.
func DriversPage(root string) (string, error) {
	var b strings.Builder
	b.WriteString(`# 驱动设置 Settings of the drivers

由程序生成，请勿手改。通用配置键见 [KEYS.md](../agent/config/KEYS.md)；这里是各驱动自己的 ` + "`options`" + `。
未知的键是错误，会指出行号。
Generated, do not edit. The keys of the configuration itself are in [KEYS.md](../agent/config/KEYS.md); these are each driver's own
` + "`options`" + `. An unknown key is an error that names the line. The words are the comments of the code.
`)
	for _, d := range Drivers() {
		list, err := d.Options(root)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n## %s %s\n\n`driver: %s`, `%s`\n\n", d.ZH, d.EN, d.Name, d.Under)
		head(&b, "键 key", "值 value", "含义 meaning")
		for _, o := range list {
			row(&b, code(o.Key), o.Type, o.Note)
		}
	}
	return b.String(), nil
}

// Keys is everything that may stand in a configuration file.
type Keys struct {
	general []string            // KEYS.md, without [] and NAME
	options map[string][]string // by driver, below its options
}

// ReadKeys gathers the keys of the configuration and of the drivers.
func ReadKeys(root string) (Keys, error) {
	k := Keys{options: map[string][]string{}}
	all, err := config.Keys()
	if err != nil {
		return k, err
	}
	for _, key := range all {
		k.general = append(k.general, plain(key.Path))
	}
	for _, d := range Drivers() {
		list, err := d.Options(root)
		if err != nil {
			return k, err
		}
		for _, o := range list {
			k.options[d.Name] = append(k.options[d.Name], o.Key)
		}
	}
	return k, nil
}

// plain writes a key without the marks of lists and names.
func plain(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "[]", ""), ".NAME", "")
}

// has tells whether a key, or a section of that name, is in the list.
func has(list []string, key string) bool {
	return slices.ContainsFunc(list, func(k string) bool { return k == key || strings.HasPrefix(k, key+".") })
}

// Find gives the full name of a key of the configuration or of one driver.
func (k Keys) Find(driver, key string) (string, bool) {
	key = plain(key)
	if has(k.options[driver], key) {
		return "platforms.options." + key, true
	}
	return key, has(k.general, key)
}

// Known tells whether a key exists anywhere, also with its driver's options
// spelt out.
func (k Keys) Known(key string) bool {
	key = plain(key)
	if has(k.general, key) {
		return true
	}
	for _, d := range Drivers() {
		under := plain(d.Under) + "."
		if strings.HasPrefix(key, under) && has(k.options[d.Name], strings.TrimPrefix(key, under)) {
			return true
		}
		if strings.Contains(key, ".") && has(k.options[d.Name], key) {
			return true
		}
	}
	return false
}

// ReadAPI gathers the field names of the HTTP interface from the code of the
// door: the JSON names of its answers and the names it reads from requests.
func ReadAPI(root string) (func(field string) bool, error) {
	files, err := filepath.Glob(filepath.Join(root, "agent/door/*.go"))
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	reads := []string{"text", "secret", "fen", "flag", "object", "objectText", "list", "lines"}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Field:
				if n.Tag == nil {
					break
				}
				if text, err := strconv.Unquote(n.Tag.Value); err == nil {
					name, _, _ := strings.Cut(reflect.StructTag(text).Get("json"), ",")
					names[name] = true
				}
			case *ast.CallExpr:
				f, ok := n.Fun.(*ast.SelectorExpr)
				if !ok || !slices.Contains(reads, f.Sel.Name) || len(n.Args) == 0 {
					break
				}
				if lit, ok := n.Args[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if name, err := strconv.Unquote(lit.Value); err == nil {
						names[name] = true
					}
				}
			}
			return true
		})
	}
	return func(field string) bool {
		for _, part := range strings.Split(field, ".") {
			if part == "" || !names[part] {
				return false
			}
		}
		return true
	}, nil
}

// metricSources are the files that say what the agent's metrics mean.
func metricSources() []string {
	return []string{"agent/stats.go", "agent/webhook/stats.go", "agent/enrol/watch.go", "agent/fleet/box/stats.go", "agent/cmd/payagent/storestats.go", "agent/cmd/payagent/ways.go", "agent/metrics/metrics.go"}
}

// MetricsPage writes docs/metrics.md from the texts that stand in the metrics
// themselves.
func MetricsPage(root string) (string, error) {
	var source []byte
	for _, name := range metricSources() {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		source = append(source, text...)
	}
	list := regexp.MustCompile(`"(payagent_[a-z_]+)"(?::\s*\{|, )"(counter|gauge)", "([^"]+)"\},?(?: *// ([a-z_, ]+))?`).FindAllStringSubmatch(string(source), -1)
	if len(list) < 10 {
		return "", fmt.Errorf("cannot list the metrics: only %d were found in agent/stats.go", len(list))
	}
	var b strings.Builder
	b.WriteString(`# 指标 Metrics

由程序生成，请勿手改。` + "`GET /metrics`" + `，Prometheus 文本格式，需要权限 admin；` + "`metrics.enabled`" + ` 可关闭。标签只取自固定的集合：没有患者、订单号、付款码。
Generated, do not edit. Prometheus text, scope admin. Labels come from closed sets: never a patient, an order or a code.
告警规则与 Grafana 面板 Alert rules and a board: [install/monitoring](../install/monitoring/README.md)。

`)
	head(&b, "指标 metric", "类型 type", "标签 labels", "含义 meaning")
	for _, m := range list {
		row(&b, code(m[1]), m[2], m[4], m[3])
	}
	return b.String(), nil
}
