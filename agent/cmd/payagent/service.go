package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"payagent/agent/config"
	"payagent/agent/service"
	"payagent/agent/words"
)

// Exit codes of payagent service status, as LSB has them.
const (
	codeFailed  exitCode = 1
	codeStopped exitCode = 3
	codeMissing exitCode = 4
)

const serviceUsage = `payagent service — payagent as a service of this machine   系统服务

  payagent service install [--config FILE]   installs it, to start at power-on; it is not started yet    安装，随开机启动
  payagent service start                     starts it, and says what came of it                         启动
  payagent service stop                      stops it, after what is under way is settled                停止
  payagent service status                    what the service manager says                               状态
  payagent service uninstall                 takes it away; orders and configuration stay                卸载，订单和配置保留

  install、uninstall、start、stop 需要 root 或管理员。 All but status need root, or an administrator.
  --config 缺省 defaults to: /etc/payagent/payagent.yaml; Windows: %ProgramData%\payagent\payagent.yaml
  status 的退出码 exit code of status: 0 运行中 running, 1 失败 failed, 3 已停止 stopped, 4 未安装 not installed
`

// serviceCommand installs, starts, stops or shows the service.
func serviceCommand(args []string, out io.Writer) error {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	file := defaultConfig()
	f := flag.NewFlagSet("service "+verb, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	if verb == "install" {
		f.StringVar(&file, "config", file, "configuration file")
	}
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		verb = "help"
	case err != nil || f.NArg() > 0:
		return fmt.Errorf("%w: payagent service %s does not take %s\n\n%s", errUsage, verb, strings.Join(args, " "), serviceUsage)
	}
	switch verb {
	case "help", "--help", "-help", "-h":
		_, err := io.WriteString(out, serviceUsage)
		return err
	case "":
		return fmt.Errorf("%w: say what to do with the service\n\n%s", errUsage, serviceUsage)
	case "install":
		return installService(file, out)
	case "uninstall":
		return service.Uninstall(out)
	case "start":
		if err := service.Start(); err != nil {
			return err
		}
		return serviceStatus(out)
	case "stop":
		return service.Stop()
	case "status":
		return serviceStatus(out)
	}
	return fmt.Errorf("%w: there is no command \"service %s\"\n\n%s", errUsage, verb, serviceUsage)
}

// defaultConfig is where the service's configuration lies.
func defaultConfig() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), "payagent", "payagent.yaml")
	}
	return "/etc/payagent/payagent.yaml"
}

// installService installs this program with a configuration. Without one it
// installs all the same and says what comes next; with a wrong one it does not.
func installService(file string, out io.Writer) error {
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err == nil {
		file, err = filepath.Abs(file)
	}
	if err != nil {
		return fmt.Errorf("cannot install the service: %w", err)
	}
	o := service.Options{Program: program, Config: file}
	next := "payagent service start"
	c, err := config.Load(file)
	switch {
	case err == nil:
		o.Paths = append(o.Paths, c.DataDir)
		if c.Log.File != "" {
			o.Paths = append(o.Paths, filepath.Dir(c.Log.File))
		}
		if c.Metrics.Textfile != "" {
			o.Paths = append(o.Paths, filepath.Dir(c.Metrics.Textfile))
		}
		p, err := planDevices(c)
		if err != nil {
			return err
		}
		o.Devices = p.nodes()
	case errors.Is(err, os.ErrNotExist):
		if runtime.GOOS == "windows" { // where payagent init will put them
			o.Paths = []string{filepath.Join(filepath.Dir(file), "data"), filepath.Join(filepath.Dir(file), "log")}
		}
		next = fmt.Sprintf("写好 %s 再 write that file, then: payagent service start", file)
	default:
		return err
	}
	if err := service.Install(o, out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "已安装，开机自动启动 installed, starts at power-on\n下一步 next: %s\n", next)
	return err
}

// nodes are the device nodes that the configuration names.
func (p plan) nodes() []string {
	var list []string
	add := func(path string) {
		if strings.HasPrefix(path, "/dev/") {
			list = append(list, path)
		}
	}
	for _, s := range p.scanners {
		add(s.path)
	}
	for _, d := range p.displays {
		add(d.path)
	}
	return list
}

// serviceStatus prints what the service manager says.
func serviceStatus(out io.Writer) error {
	s, err := service.Look()
	if err != nil {
		return err
	}
	// Whoever may not read the data is told nothing of them.
	var away words.Text
	if c, err := loadConfig(defaultConfig()); err == nil {
		if text, err := lookForPrograms(c); err == nil {
			away = text
		}
	}
	return tellStatus(s, away, out)
}

// tellStatus prints it in Chinese and English, and what programs are away.
func tellStatus(s service.Status, away words.Text, out io.Writer) error {
	line := map[service.State]string{
		service.Running:  "运行中 running",
		service.Starting: "正在启动 starting",
		service.Stopped:  "已停止 stopped",
		service.Failed:   "失败 failed",
		service.Missing:  "未安装 not installed; payagent service install",
	}[s.State]
	if s.PID > 0 {
		line += fmt.Sprintf(", pid %d", s.PID)
	}
	rows := [][2]string{{"服务 service", line}}
	if s.State != service.Missing && s.Manager == "" {
		atPower := "否 no"
		if s.Enabled {
			atPower = "是 yes"
		}
		rows = append(rows, [2]string{"开机启动 starts at power-on", atPower})
	}
	for _, row := range [][2]string{{"它说 it says", s.Text}, {"单元 defined by", s.Unit}} {
		if row[1] != "" {
			rows = append(rows, row)
		}
	}
	if s.Manager != "" {
		rows = append(rows, [2]string{"说明 note", "本机不是由 systemd 管理（" + s.Manager + "）：服务没有看门狗和隔离；在容器里请由容器运行 payagent run；体检看 payagent doctor。 " +
			"systemd does not run this machine: no watchdog and no hardening; in a container let that run payagent run; payagent doctor looks at the agent"})
	}
	if !away.Empty() {
		rows = append(rows, [2]string{"程序 programs", away.ZH + " " + away.EN + " → payagent doctor --only update.programs"})
	}
	if s.Restarts > 0 {
		rows = append(rows, [2]string{"自动重启 restarts", fmt.Sprint(s.Restarts)})
	}
	if s.Result != "" && s.Result != "success" {
		rows = append(rows, [2]string{"上次结束 last end", s.Result})
	}
	for _, row := range rows {
		if _, err := fmt.Fprintf(out, "%s: %s\n", row[0], row[1]); err != nil {
			return err
		}
	}
	switch s.State {
	case service.Missing:
		return codeMissing
	case service.Stopped:
		return codeStopped
	case service.Failed:
		return codeFailed
	}
	return nil
}
