package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"
)

func owner(os.FileInfo) (uid, gid int) { return -1, -1 }

// access cannot be told from a mode here; opening a folder for writing is
// asked of the system.
func access(path string) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	h, err := windows.CreateFile(name, fileAddFile, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return err
	}
	return windows.CloseHandle(h)
}

func volume(path string) (Volume, error) {
	if _, err := os.Stat(path); err != nil {
		return Volume{}, err
	}
	root := filepath.VolumeName(path) + `\`
	name, err := windows.UTF16PtrFromString(root)
	if err != nil {
		return Volume{}, err
	}
	var v Volume
	var free, total, all uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, &total, &all); err != nil {
		return v, fmt.Errorf("cannot see the disk of %s: %w", path, err)
	}
	v.Free, v.Total, v.Device = int64(free), int64(total), root
	v.Remote = windows.GetDriveType(name) == windows.DRIVE_REMOTE
	kind := make([]uint16, 64)
	if err := windows.GetVolumeInformation(name, nil, 0, nil, nil, nil, &kind[0], uint32(len(kind))); err == nil {
		v.Type = windows.UTF16ToString(kind)
	}
	return v, nil
}

func scratch(dir string) (*os.File, func() error, error) { return scratchNamed(dir) }

func machine() (kernel, hardware string) {
	v := windows.RtlGetVersion()
	return fmt.Sprintf("%d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber), os.Getenv("PROCESSOR_ARCHITECTURE")
}

// fileAddFile is FILE_ADD_FILE.
const fileAddFile = 2

// memoryStatus is MEMORYSTATUSEX.
type memoryStatus struct {
	length, load                                            uint32
	total, free, totalPage, freePage, totalVirtual, virtual uint64
	extended                                                uint64
}

func memory() (total, free int64, err error) {
	m := memoryStatus{length: uint32(unsafe.Sizeof(memoryStatus{}))}
	if ok, _, err := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx").Call(uintptr(unsafe.Pointer(&m))); ok == 0 {
		return 0, 0, fmt.Errorf("cannot ask for the memory: %w", err)
	}
	return int64(m.total), int64(m.free), nil
}
