package agent

import (
	"regexp"
	"strconv"
	"time"

	"payagent/agent/order"
)

var expiryForm = regexp.MustCompile(`^([1-9][0-9]{0,4})([mhd])$`)

// expiry turns `expires` of a QR code into TimeoutExpress (seed 004 §5.5): 1m
// to 15d in m, h or d, or 1c for the end of the day; nothing is the platform's
// 20m. It is never shorter than the polling loop, so that a QR code does not
// die on the screen before its countdown.
func expiry(s string, p order.Policy, now time.Time) (wire string, d time.Duration, err error) {
	loop := time.Duration(p.PresentQueries) * p.PresentEvery
	if s == "" {
		d = 20 * time.Minute
	} else if d, err = readExpiry(s, now); err != nil {
		return "", 0, err
	}
	if d >= loop {
		return s, d, nil
	}
	return inMinutes(loop)
}

// pageExpiry is the same for a payment on a page. Asking goes on as long as
// the page can be paid, so the platform is always told when that ends.
func pageExpiry(s string, p order.Policy, now time.Time) (wire string, d time.Duration, err error) {
	if s == "" {
		return inMinutes(p.H5Horizon)
	}
	d, err = readExpiry(s, now)
	return s, d, err
}

func inMinutes(d time.Duration) (string, time.Duration, error) {
	minutes := (d + time.Minute - 1) / time.Minute
	return strconv.Itoa(int(minutes)) + "m", minutes * time.Minute, nil
}

func readExpiry(s string, now time.Time) (time.Duration, error) {
	if s == "1c" {
		day := now.In(time.FixedZone("UTC+8", 8*3600))
		return time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, day.Location()).Sub(now), nil
	}
	m := expiryForm.FindStringSubmatch(s)
	if m == nil {
		return 0, field("expires", "must be whole minutes, hours or days, 1m to 15d, or 1c")
	}
	n, _ := strconv.Atoi(m[1])
	d := time.Duration(n) * map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
	if d > 15*24*time.Hour {
		return 0, field("expires", "must not be more than 15d")
	}
	return d, nil
}
