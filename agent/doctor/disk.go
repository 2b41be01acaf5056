package doctor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"payagent/agent/config"

	"payagent/agent/words"
)

func diskChecks() []Check {
	return []Check{
		{ID: "disk.local", Group: GroupDisk, Fails: true, Title: words.Text{ZH: "data_dir 在本机磁盘上", EN: "data_dir lies on a disk of this machine"},
			Cure: words.Text{ZH: "把 data_dir 放到本机的 ext4、xfs、btrfs、f2fs 或 NTFS 磁盘", EN: "put data_dir on a disk of this machine with ext4, xfs, btrfs, f2fs or NTFS"}, do: checkLocal},
		{ID: "disk.writable", Group: GroupDisk, Fails: true, Title: words.Text{ZH: "data_dir 可写，且不对其他用户开放", EN: "data_dir is writable, and closed to others"},
			Cure: words.Text{ZH: "把文件夹交给代理的用户：chown 与 chmod 700", EN: "give the folder to the agent's user: chown, chmod 700"}, do: checkWritable},
		{ID: "disk.space", Group: GroupDisk, Fails: true, Title: words.Text{ZH: "磁盘空间够用", EN: "there is room on the disk"},
			Cure: words.Text{ZH: "清理磁盘；低于停止线时不再接新订单", EN: "free disk space; below the stop line no new orders are taken"}, do: checkSpace},
		{ID: "disk.sync", Group: GroupDisk, Title: words.Text{ZH: "落盘速度（实测）", EN: "how fast the disk makes a write durable (measured)"},
			Cure: words.Text{ZH: "换用更快的存储（eMMC、SSD），检查是否即将损坏", EN: "use faster storage (eMMC, SSD); it may be wearing out"}, do: checkSync},
		{ID: "disk.wear", Group: GroupDisk, Title: words.Text{ZH: "存储芯片寿命充足（eMMC、UFS 自报）", EN: "the flash is far from its end (as eMMC and UFS tell)"},
			Cure: words.Text{ZH: "安排更换存储或整机；更换前做好备份", EN: "plan to replace the disk or the box"}, do: checkWear},
		{ID: "disk.fast_commit", Group: GroupDisk, Fails: true, Title: words.Text{ZH: "没有会在断电时损坏订单库的内核与文件系统组合", EN: "no kernel and file system that damage the store at a power cut"},
			Cure: words.Text{ZH: "升级内核到 5.10.94、5.15.27 或更新，或执行 tune2fs -O ^fast_commit", EN: "upgrade the kernel to 5.10.94, 5.15.27 or newer, or run tune2fs -O ^fast_commit"}, do: checkFastCommit},
		{ID: "store.opens", Group: GroupDisk, Fails: true, Title: words.Text{ZH: "订单库完好，版本可用", EN: "the order store is whole and of a version that this program reads"},
			Cure: words.Text{ZH: "不要删除任何文件；联系厂商。损坏的库会在启动时移到一旁并向平台重新查询", EN: "delete nothing, call the vendor; a damaged store is set aside at the start and its orders are asked for"}, do: checkStore},
		{ID: "store.aside", Group: GroupDisk, Title: words.Text{ZH: "没有被移到一旁的损坏文件", EN: "no damaged file was set aside"},
			Cure: words.Text{ZH: "与财务核对那段时间的订单，然后把文件移走存档", EN: "check the orders of that time with finance, then move the files away"}, do: checkAside},
		{ID: "log.size", Group: GroupDisk, Title: words.Text{ZH: "日志不超过上限", EN: "the log keeps within its bounds"},
			Cure: words.Text{ZH: "调小 log.max_bytes 或 log.keep，删除多余的旧日志", EN: "lower log.max_bytes or log.keep, remove what is left over"}, do: checkLog},
		{ID: "update.state", Group: GroupDisk, Title: words.Text{ZH: "上一次升级已完成", EN: "the last update is done"},
			Cure: words.Text{ZH: "查看 payagent update 与日志；旧版本仍可用", EN: "see payagent update and the log; the version before still works"}, do: checkUpdate},
		{ID: "update.programs", Group: GroupDisk, Title: words.Text{ZH: "程序文件都在，没有被杀毒软件隔离", EN: "our programs are here, no virus scanner took one"},
			Cure: words.Text{ZH: "在杀毒软件里恢复文件，并把程序目录与 data_dir/updates 设为排除；在用的程序：以同一份清单再执行 payagent update；安装的程序：重装软件包", EN: "restore the file in the scanner and except the program's folder and data_dir/updates; a version in use comes back by payagent update with the same manifest, the installed program by installing the package again"}, do: checkPrograms},
	}
}

// volume finds the volume of data_dir, or of the nearest folder above it.
func (s *Subject) volume() (Volume, string, error) {
	dir := s.Config.DataDir
	for {
		v, err := s.System.Volume(dir)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir {
			return v, dir, err
		}
		dir = filepath.Dir(dir)
	}
}

// wornAt is the part of the life, in percent, from which a replacement should
// be planned.
const wornAt = 80

func checkWear(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	if s.Wear == nil {
		r.skipped("", words.Text{ZH: "不适用于此系统", EN: "not for this system"})
		return
	}
	device, percent, state := s.Wear()
	text := say("已用 %d%%，备用块 %s", "%d %% used, spare blocks: %s", percent, state)
	switch {
	case percent < 0 && state == "":
		r.skipped(device, words.Text{ZH: "磁盘没有告知（SATA、NVMe 需管理员：smartctl -a）", EN: "the disk does not tell (SATA, NVMe: smartctl -a as administrator)"})
	case percent >= wornAt, state == "warning", state == "urgent":
		r.warn(device, text)
	default:
		r.ok(device, text)
	}
}

func checkLocal(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	v, _, err := s.volume()
	switch {
	case err != nil:
		r.warn(s.Config.DataDir, say("看不到：%v", "cannot be seen: %v", err))
	case v.Remote || slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "fuse.sshfs", "fuse.glusterfs"}, v.Type):
		r.fail(s.Config.DataDir, say("在网络盘上（%s）：断网即停，且锁与落盘不可靠", "on a network disk (%s): it stops with the network, locks and syncs are not reliable", v.Type))
	case v.Type == "tmpfs" || v.Type == "ramfs":
		r.fail(s.Config.DataDir, say("在内存盘上（%s）：断电即丢", "in memory (%s): a power cut loses the orders", v.Type))
	case slices.Contains([]string{"vfat", "exfat", "msdos", "fat"}, strings.ToLower(v.Type)), v.Type == "overlay", strings.HasPrefix(v.Type, "fuse"):
		r.warn(s.Config.DataDir, say("文件系统 %s 断电时不安全", "file system %s is not safe at a power cut", v.Type))
	default:
		r.ok(s.Config.DataDir, say("%s（%s）", "%s (%s)", v.Type, v.Device))
	}
}

func checkWritable(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	dir := s.Config.DataDir
	f, err := s.System.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.warn(dir, words.Text{ZH: "还不存在；首次启动时建立", EN: "not there yet; the first start makes it"}, words.Text{ZH: "确认上级文件夹可由代理的用户写入", EN: "make sure that the agent's user can write to the folder above"})
	case err != nil:
		r.fail(dir, say("打不开：%v", "cannot be opened: %v", err))
	case !f.Mode.IsDir():
		r.fail(dir, words.Text{ZH: "不是文件夹", EN: "is no folder"})
	case s.System.Access(dir) != nil && s.System.Me().UID == f.UID:
		r.fail(dir, words.Text{ZH: "本用户不可写（只读挂载？）", EN: "not writable for this user (mounted read-only?)"})
	case s.System.Access(dir) != nil:
		r.skipped(dir, say("属于用户 %d，请以该用户或管理员身份再执行", "belongs to user %d; run this as that user or as administrator", f.UID))
	case s.System.OS != "windows" && f.Mode.Perm()&0o022 != 0:
		r.warn(dir, say("其他用户可写（%v）", "others can write there (%v)", f.Mode.Perm()), say("执行 chmod 700 %[1]s", "run chmod 700 %[1]s", dir))
	case s.System.Me().UID == 0 && f.UID == 0 && s.System.OS != "windows" && s.unitUser() != "":
		r.fail(dir, say("属于 root，而服务以用户 %s 运行", "belongs to root, and the service runs as %s", s.unitUser()))
	default:
		r.ok(dir, words.Text{ZH: "可写", EN: "writable"})
	}
}

func checkSpace(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	v, dir, err := s.volume()
	if err != nil {
		r.warn(dir, say("看不到：%v", "cannot be seen: %v", err))
		return
	}
	st := s.Config.Store
	text := say("剩余 %s，共 %s", "%s free of %s", size(v.Free), size(v.Total))
	switch {
	case v.Free < int64(st.StopBelowBytes) || v.Total > 0 && v.Free*100/v.Total < int64(st.StopBelowPercent):
		r.fail(dir, text)
	case v.Free < 2*int64(st.StopBelowBytes)+int64(st.BudgetBytes):
		r.warn(dir, text, say("空间不足以放下订单库的预算 %[1]s", "the store's budget of %[1]s does not fit", size(int64(st.BudgetBytes))))
	default:
		r.ok(dir, text)
	}
}

// size writes bytes for people.
func size(n int64) string {
	if n < 1<<20 {
		return config.Bytes(n).String()
	}
	if n >= 10<<30 {
		return strconv.FormatInt(n>>30, 10) + "GiB"
	}
	return strconv.FormatInt(n>>20, 10) + "MiB"
}

// The bounds of a synced write: a payment makes about four.
const (
	slowSync = 50 * time.Millisecond
	deadSync = 500 * time.Millisecond
)

func checkSync(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	dir := s.Config.DataDir
	took, err := s.System.Sync(dir)
	text := say("每次落盘 %s（一笔收款约 4 次）", "%s for each durable write (a payment makes about 4)", took.Round(10*time.Microsecond))
	switch {
	case err != nil:
		r.skipped(dir, say("测不了：%v", "cannot be measured: %v", err))
	case took > deadSync:
		r.warn(dir, text, words.Text{ZH: "太慢：收款会明显变慢。存储可能将坏，请更换", EN: "too slow, payments will feel it; the storage may be about to fail: replace it"})
	case took > slowSync:
		r.warn(dir, text)
	default:
		r.ok(dir, text)
	}
}

// kernelHasBug tells whether a Linux kernel may damage files at a power cut
// with ext4's fast_commit: before 5.10.94 and 5.15.27 of those lines.
func kernelHasBug(release string) bool {
	var n [3]int
	parts := strings.FieldsFunc(release, func(r rune) bool { return r == '.' || r == '-' || r == '+' || r == '_' })
	for i := range n {
		if i < len(parts) {
			v, err := strconv.Atoi(parts[i])
			if err != nil {
				break
			}
			n[i] = v
		}
	}
	switch {
	case n[0] != 5 || n[1] < 10 || n[1] > 16:
		return false // it came with 5.10
	case n[1] == 10:
		return n[2] < 94
	case n[1] == 15:
		return n[2] < 27
	}
	return true
}

func checkFastCommit(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	if s.System.OS != "linux" {
		r.skipped("", words.Text{ZH: "只涉及 Linux", EN: "Linux only"})
		return
	}
	v, _, err := s.volume()
	kernel, _ := s.System.Machine()
	switch {
	case err != nil:
		r.skipped("", say("看不到：%v", "cannot be seen: %v", err))
		return
	case v.Type != "ext4" || !kernelHasBug(kernel):
		r.ok("", say("%s，内核 %s", "%s, kernel %s", v.Type, kernel))
		return
	}
	data, err := s.System.Read("/proc/fs/ext4/" + filepath.Base(v.Device) + "/fc_info")
	on := err == nil && !strings.Contains(string(data), "\n0 commits") && strings.Contains(string(data), "commits")
	switch {
	case on || strings.Contains(v.Options, "fast_commit"):
		r.fail("", say("内核 %s 且 ext4 开启了 fast_commit：断电可能损坏订单库", "kernel %s, and ext4 uses fast_commit: a power cut may damage the store", kernel))
	case err != nil:
		r.warn("", say("内核 %s 有此缺陷；看不到 ext4 是否开启 fast_commit", "kernel %s has the fault; whether ext4 uses fast_commit cannot be seen", kernel))
	default:
		r.ok("", say("内核 %s 有此缺陷，但 ext4 未开启 fast_commit", "kernel %s has the fault, but ext4 does not use fast_commit", kernel))
	}
}

// store looks at the order store, once for all checks: a look takes the store's
// lock, and two at the same moment would each see a program that has it open.
func (s *Subject) store() (Store, error) {
	type look struct {
		Store
		err error
	}
	l := once(&s.known, "store", func() look {
		st, err := s.Store()
		return look{st, err}
	})
	return l.Store, l.err
}

func checkStore(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	st, err := s.store()
	switch {
	case err != nil:
		r.fail("", say("%v", "%v", err))
	case st.InUse && s.Running:
		r.ok("", words.Text{ZH: "代理正在使用", EN: "in use by the running agent"})
	case st.InUse:
		r.skipped("", words.Text{ZH: "有程序正在使用（见 process.single）", EN: "a program has it open (see process.single)"})
	case !st.Exists:
		r.ok("", words.Text{ZH: "还没有；首次启动时建立", EN: "none yet; the first start makes it"})
	case st.Fallback:
		r.warn("", words.Text{ZH: "最后一次写入可能丢失；相关订单会向平台重新查询", EN: "the newest write may be lost; its orders are asked for at the platform"})
	default:
		r.ok("", words.Text{ZH: "完好", EN: "whole"})
	}
}

func checkAside(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	st, err := s.store()
	if err != nil && len(st.Aside) == 0 {
		r.skipped("", words.Text{ZH: "订单库看不到", EN: "the store cannot be seen"})
		return
	}
	if len(st.Aside) > 0 {
		r.warn(strings.Join(st.Aside, ", "), say("以前有 %d 个文件损坏，已移到一旁", "%d damaged files were set aside before", len(st.Aside)))
		return
	}
	r.ok("", words.Text{ZH: "无", EN: "none"})
}

func checkLog(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	l := s.Config.Log
	if l.File == "" {
		r.ok("", words.Text{ZH: "写到系统日志", EN: "written to the system's log"})
		return
	}
	names, err := s.System.List(filepath.Dir(l.File))
	if err != nil {
		r.warn(l.File, say("看不到：%v", "cannot be seen: %v", err), words.Text{ZH: "建立文件夹并交给代理的用户", EN: "make the folder and give it to the agent's user"})
		return
	}
	var total int64
	for _, n := range names {
		if f, err := s.System.Stat(filepath.Join(filepath.Dir(l.File), n)); err == nil && strings.HasPrefix(n, filepath.Base(l.File)) {
			total += f.Size
		}
	}
	text := say("共 %s，上限 %s", "%s, bound %s", size(total), size(int64(l.MaxBytes)*int64(l.Keep+1)))
	if total > int64(l.MaxBytes)*int64(l.Keep+1)*11/10 {
		r.warn(l.File, text)
		return
	}
	r.ok(l.File, text)
}

func checkPrograms(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	if s.Programs == nil {
		r.skipped("", words.Text{ZH: "没有查看", EN: "not looked at"})
		return
	}
	switch text, err := s.Programs(); {
	case err != nil:
		r.warn("", say("看不到：%v", "cannot be seen: %v", err))
	case !text.Empty():
		r.warn("", text)
	default:
		r.ok("", words.Text{ZH: "都在", EN: "all here"})
	}
}

func checkUpdate(_ context.Context, s *Subject, r *report) {
	if !s.usable(r) {
		return
	}
	if s.Update == nil {
		r.ok("", words.Text{ZH: "从未在线升级", EN: "never updated by itself"})
		return
	}
	text, well, err := s.Update()
	switch {
	case err != nil:
		r.warn("", say("看不到：%v", "cannot be seen: %v", err))
	case !well:
		r.warn("", text)
	default:
		r.ok("", text)
	}
}
