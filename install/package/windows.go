package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// entry is one file of the zip.
type entry struct {
	name, from string
	crlf       bool // a text that Windows' own programs read
}

// windows makes the zip and the set-up. They hold the program with karalabe/hid,
// which is the only way to a HID scanner there.
func (r *release) windows() error {
	for _, arch := range []string{"amd64", "386"} {
		list := []entry{
			{"payagent.exe", r.program("payagent-hid", "windows_"+arch) + ".exe", false},
			{"install.cmd", r.in("install/windows/install.cmd"), true},
			{"uninstall.cmd", r.in("install/windows/uninstall.cmd"), true},
			{"NOTICES.txt", filepath.Join(r.programs, "payagent_"+r.version+"_NOTICES.txt"), true},
			{"README.txt", r.in("install/counter/README.md"), true},
		}
		for _, p := range []string{"counter", "kiosk", "scanbox"} {
			list = append(list, entry{"profiles/" + p + "/payagent.yaml", r.in("install/" + p + "/payagent.yaml"), true})
		}
		folder := filepath.Join(r.stage, "windows-"+arch)
		if err := r.lay(folder, list); err != nil {
			return err
		}
		base := filepath.Join(r.programs, "payagent-"+r.version+"-"+arch)
		if err := r.zip(base+".zip", folder, list); err != nil {
			return fmt.Errorf("cannot make the zip for %s: %w", arch, err)
		}
		if err := r.setup(base+"-setup.exe", folder, arch); err != nil {
			return fmt.Errorf("cannot make the set-up for %s: %w", arch, err)
		}
	}
	return nil
}

// lay puts the files into a folder as Windows wants them.
func (r *release) lay(folder string, list []entry) error {
	for _, e := range list {
		data, err := os.ReadFile(e.from)
		if err != nil {
			return err
		}
		if e.crlf {
			data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		}
		if strings.HasSuffix(e.name, ".cmd") {
			// Without this cmd.exe reads the Chinese in the machine's old code page.
			data = bytes.Replace(data, []byte("@echo off\r\n"), []byte("@echo off\r\nchcp 65001 >nul\r\n"), 1)
		}
		path := filepath.Join(folder, filepath.FromSlash(e.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
		if err := os.Chtimes(path, r.when, r.when); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) zip(path, folder string, list []entry) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	z := zip.NewWriter(out)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	list = slices.SortedFunc(slices.Values(list), func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for _, e := range list {
		data, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(e.name)))
		if err != nil {
			return errors.Join(err, out.Close())
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: "payagent-" + r.version + "/" + e.name, Method: zip.Deflate, Modified: r.when})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			return errors.Join(err, out.Close())
		}
	}
	return errors.Join(z.Close(), out.Close())
}

// setup runs makensis of Debian's package nsis.
func (r *release) setup(path, folder, arch string) error {
	cmd := exec.Command("makensis", "-V2", "-NOCD", "-INPUTCHARSET", "UTF8", "-DVERSION="+r.version, "-DARCH="+arch, "-DFILES="+folder, "-DOUT="+path,
		r.in("install/windows/payagent.nsi"))
	cmd.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.when.Unix()))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
