package fleet

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Version is a version of the program: three numbers, and for a trial build a
// word behind a hyphen ("1.4.0-rc.2"), which is older than the same without.
type Version struct {
	Numbers [3]int
	Pre     string
}

// maxNumberOfVersion keeps a stolen key from naming a version that nothing can
// follow by a slip alone.
const maxNumberOfVersion = 99999

// ParseVersion reads "1.4.2" or "1.4.2-rc.1". Nothing else is a version: no
// leading v, no leading zeros, no missing numbers.
func ParseVersion(s string) (Version, error) {
	var v Version
	bad := fmt.Errorf("cannot read the version %.40q; write three numbers, e.g. 1.4.2 or 1.4.2-rc.1", s)
	rest, pre, hyphen := strings.Cut(s, "-")
	parts := strings.Split(rest, ".")
	if len(parts) != 3 || hyphen && pre == "" || len(pre) > 20 {
		return v, bad
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 || n > maxNumberOfVersion || strconv.Itoa(n) != p {
			return v, bad
		}
		v.Numbers[i] = n
	}
	for _, r := range pre {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' {
			return v, bad
		}
	}
	v.Pre = pre
	return v, nil
}

// String writes the version as it is read.
func (v Version) String() string {
	s := fmt.Sprintf("%d.%d.%d", v.Numbers[0], v.Numbers[1], v.Numbers[2])
	if v.Pre != "" {
		s += "-" + v.Pre
	}
	return s
}

// Compare gives -1, 0 or 1.
func (v Version) Compare(w Version) int {
	for i := range v.Numbers {
		if c := cmp.Compare(v.Numbers[i], w.Numbers[i]); c != 0 {
			return c
		}
	}
	switch {
	case v.Pre == w.Pre:
		return 0
	case v.Pre == "":
		return 1
	case w.Pre == "":
		return -1
	}
	a, b := strings.Split(v.Pre, "."), strings.Split(w.Pre, ".")
	for i := range min(len(a), len(b)) {
		if c := compareWord(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// compareWord compares numbers as numbers, below words.
func compareWord(a, b string) int {
	m, errA := strconv.Atoi(a)
	n, errB := strconv.Atoi(b)
	switch {
	case errA == nil && errB == nil:
		return cmp.Compare(m, n)
	case errA == nil:
		return -1
	case errB == nil:
		return 1
	}
	return strings.Compare(a, b)
}

// CompareVersions compares two texts. What is no version, such as "dev", is
// older than every version.
func CompareVersions(a, b string) int {
	v, errA := ParseVersion(a)
	w, errB := ParseVersion(b)
	switch {
	case errA != nil && errB != nil:
		return 0
	case errA != nil:
		return -1
	case errB != nil:
		return 1
	}
	return v.Compare(w)
}
