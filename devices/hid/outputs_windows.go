//go:build cgo && !hidraw_only

package hid

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// outputs gives a device whose output reports reach it. The library puts a 0 in
// front of every report that it writes on Windows, which is wrong for devices
// that number their reports, as all these do. So they are sent by
// HidD_SetOutputReport on a second handle to the same path.
func outputs(dev api, path string) api { return numberedOutputs{dev, path} }

type numberedOutputs struct {
	api
	path string
}

// caps is HIDP_CAPS of the Windows driver kit.
type caps struct {
	usage, usagePage       uint16
	inputLen, outputLen    uint16 // bytes of the longest report, the id included
	featureLen             uint16
	_                      [17]uint16
	_, _, _, _, _, _, _, _ uint16
	_, _                   uint16
}

// hidpSuccess is HIDP_STATUS_SUCCESS.
const hidpSuccess = 0x00110000

// Write sends one output report whose first byte is its id.
func (n numberedOutputs) Write(p []byte) (int, error) {
	name, err := windows.UTF16PtrFromString(n.path)
	if err != nil {
		return 0, fmt.Errorf("cannot use the path of the HID device: %w", err)
	}
	h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil,
		windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		return 0, fmt.Errorf("cannot open the HID device for output: %w", err)
	}
	defer func() { _ = windows.CloseHandle(h) }()
	// hid.dll belongs to the system and is looked for nowhere else.
	lib := windows.NewLazySystemDLL("hid.dll")
	report := append([]byte(nil), p...)
	if want := outputLen(lib, h); want > len(report) {
		report = append(report, make([]byte, want-len(report))...)
	}
	set := lib.NewProc("HidD_SetOutputReport")
	if err := set.Find(); err != nil {
		return 0, fmt.Errorf("cannot send to the HID device: %w", err)
	}
	ok, _, err := set.Call(uintptr(h), uintptr(unsafe.Pointer(&report[0])), uintptr(len(report)))
	if ok&0xFF == 0 { // BOOLEAN is one byte
		return 0, fmt.Errorf("cannot send to the HID device: %w", err)
	}
	return len(p), nil
}

// outputLen is the length that output reports of the device must have, 0 if the
// system does not say.
func outputLen(lib *windows.LazyDLL, h windows.Handle) int {
	get, free, read := lib.NewProc("HidD_GetPreparsedData"), lib.NewProc("HidD_FreePreparsedData"), lib.NewProc("HidP_GetCaps")
	if get.Find() != nil || free.Find() != nil || read.Find() != nil {
		return 0
	}
	var data uintptr
	if ok, _, _ := get.Call(uintptr(h), uintptr(unsafe.Pointer(&data))); ok&0xFF == 0 {
		return 0
	}
	defer func() { _, _, _ = free.Call(data) }()
	var c caps
	if status, _, _ := read.Call(data, uintptr(unsafe.Pointer(&c))); uint32(status) != hidpSuccess {
		return 0
	}
	return int(c.outputLen)
}
