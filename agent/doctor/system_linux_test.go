package doctor

import "testing"

func TestMountOf(t *testing.T) {
	const table = `22 1 179:2 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:25 / /var rw,nosuid - xfs /dev/sda1 rw
31 22 0:26 / /var/lib/a\040b rw - tmpfs none rw
32 30 0:27 / /var rw - btrfs /dev/sdb1 rw,ssd
broken line
`
	for path, want := range map[string]string{"/": "ext4", "/etc": "ext4", "/var": "btrfs", "/var/lib/payagent": "btrfs", "/variety": "ext4", "/var/lib/a b/c": "tmpfs"} {
		if kind, _, _ := mountOf(table, path); kind != want {
			t.Errorf("%s lies on %s, want %s", path, kind, want)
		}
	}
}
