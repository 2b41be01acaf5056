// Package browsertest opens pages in a browser, for the tests of pages that we
// serve: a page's clock goes slowly and can be stopped, and its faults (errors of
// scripts, of its policy) and how it looks (text that is cut off, too small, too
// pale) are found.
package browsertest

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// Start starts a browser for one test. make test installs it; a test run
// without one fails, because skipping would look like passing.
func Start(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("cannot test the pages: no chromium in PATH; install it (Debian: chromium, fonts-wqy-microhei) or run make test, which does")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WSURLReadTimeout(patient), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("force-device-scale-factor", "1"), chromedp.Flag("hide-scrollbars", true))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, stop := chromedp.NewContext(alloc)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("cannot start %s: %v", path, err)
	}
	return ctx
}

// patient bounds what must happen; it never does unless something is broken.
const patient = 2 * time.Minute

// Tab is a page under test, in a browser profile of its own.
type Tab struct {
	t   *testing.T
	ctx context.Context
}

// skew makes the page's clock slow, so that what leaves by itself is seen before
// on a slow machine as well, and lets a test stop it and move it forward: the
// pages measure time with performance.now(). What a page gives up by a timer it
// gives up ten times as late.
const skew = `(function () {
  const clock = performance.now.bind(performance), later = window.setTimeout;
  const real = function () { return clock() / 20; };
  let ahead = 0, held = null;
  performance.now = function () { return (held === null ? real() : held) + ahead; };
  performance.setResourceTimingBufferSize(100000);
  window.setTimeout = function (f, ms) { return later.call(window, f, ms >= 8000 ? 10 * ms : ms); };
  window.testHold = function (on) { held = on ? real() : null; };
  window.testAhead = function (ms) { ahead += ms; };
  window.testFaults = [];
  window.addEventListener("error", function (e) { window.testFaults.push(String(e.message)); });
  window.addEventListener("unhandledrejection", function (e) { window.testFaults.push(String(e.reason)); });
  document.addEventListener("securitypolicyviolation", function (e) { window.testFaults.push("policy: " + e.violatedDirective + " " + e.blockedURI); });
})()`

// Open opens a page in a tab of its own. Scripts run before those of the page.
// At the end of the test the page must have had no faults.
func Open(t *testing.T, parent context.Context, address string, width, height int64, scripts ...string) *Tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	b := &Tab{t: t, ctx: ctx}
	b.Do(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: strings.Join(append([]string{skew}, scripts...), ";\n")})
		return err
	}), chromedp.Navigate(address))
	t.Cleanup(func() {
		if faults := b.Text(`(window.testFaults || []).join("; ")`); faults != "" {
			t.Errorf("the page had faults: %s", faults)
		}
	})
	return b
}

// Do carries steps out.
func (b *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// Text evaluates an expression that gives a text.
func (b *Tab) Text(expression string) string {
	b.t.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		b.t.Errorf("%s: %v", expression, err)
	}
	return s
}

// Truth evaluates an expression as yes or no.
func (b *Tab) Truth(expression string) bool {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// Wait comes back when the expression is true. The page looks for itself; a
// deadline ends what never comes true.
func (b *Tab) Wait(expression string) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patient)
	defer stop()
	_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(`new Promise(function (done) {
		const look = function () { if (%s) { done(true); } else { setTimeout(look, 20); } };
		look();
	})`, expression), chromedp.EvalAwaitPromise))
	if err != nil {
		seen := b.Text("document.body.innerText")
		b.t.Fatalf("waiting for %s: %v\nthe page says: %s", expression, err, seen)
	}
}

// Says waits for words on the page.
func (b *Tab) Says(words string) {
	b.t.Helper()
	b.Wait(fmt.Sprintf(`document.body.innerText.indexOf(%q) >= 0`, words))
}

// SaysNot fails if words are on the page now.
func (b *Tab) SaysNot(words ...string) {
	b.t.Helper()
	seen := b.Text("document.body.innerText")
	for _, w := range words {
		if strings.Contains(seen, w) {
			b.t.Errorf("the page says %q: %s", w, seen)
		}
	}
}

// Key types keys.
func (b *Tab) Key(keys string) {
	b.t.Helper()
	b.Do(chromedp.KeyEvent(keys))
}

// Hold stops the page's clock, so that what must happen within a moment does so
// on a slow machine as well.
func (b *Tab) Hold(on bool) { b.Truth(fmt.Sprintf("(window.testHold(%t), true)", on)) }

// Ahead moves the page's clock.
func (b *Tab) Ahead(ms int) { b.Truth(fmt.Sprintf("(window.testAhead(%d), true)", ms)) }

// Shot takes a picture (PNG) and keeps it where PAGES_SHOTS says, for people to
// look at.
func (b *Tab) Shot(name string) []byte {
	b.t.Helper()
	data, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if dir := os.Getenv("PAGES_SHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), data, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	return data
}

// faults of how a page looks, found in the page itself: text that is cut off,
// smaller than minPx, or of less contrast than asked.
const look = `(function (minPx, minContrast) {
  const out = [];
  const lum = function (c) {
    const f = c.slice(0, 3).map(function (v) { v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); });
    return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2];
  };
  const rgb = function (s) { const m = s.match(/[\d.]+/g).map(Number); return m.length === 3 ? m.concat(1) : m; };
  const behind = function (e) {
    for (let x = e; x; x = x.parentElement) { const c = rgb(getComputedStyle(x).backgroundColor); if (c[3] === 1) { return c; } }
    return [255, 255, 255, 1];
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walk.nextNode()) {
    const node = walk.currentNode;
    const e = node.parentElement;
    if (!node.textContent.trim() || e.closest("#watermark, [hidden], template, noscript, option")) { continue; }
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width === 0) { continue; }
    count++;
    const style = getComputedStyle(e);
    const what = node.textContent.trim().slice(0, 24);
    if (parseFloat(style.fontSize) < minPx) { out.push(what + ": " + style.fontSize); }
    const a = lum(rgb(style.color)), b = lum(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < minContrast && !e.closest("button:disabled")) { out.push(what + ": contrast " + ratio.toFixed(1)); }
    if (box.left < -1 || box.right > innerWidth + 1 || (%t && (box.top < -1 || box.bottom > innerHeight + 1))) { out.push(what + ": cut off at " + [box.left, box.top, box.right, box.bottom].map(Math.round).join(" ")); }
  }
  if (count === 0) { out.push("nothing to read"); }
  if (document.documentElement.scrollWidth > innerWidth) { out.push("wider than the screen"); }
  return out.join("; ");
})(%d, %g)`

// Fits checks how the page looks. whole: nothing may need scrolling.
func (b *Tab) Fits(whole bool, minPx int, minContrast float64) {
	b.t.Helper()
	if faults := b.Text(fmt.Sprintf(look, whole, minPx, minContrast)); faults != "" {
		b.t.Errorf("it does not look right: %s", faults)
	}
}

// Reads decodes the QR code of a picture; empty if there is none.
func Reads(picture []byte) string {
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return ""
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		return ""
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		return ""
	}
	return result.GetText()
}

// Leftovers finds any of the words in the whole document, hidden parts and
// attributes included, in storage and in the address.
func (b *Tab) Leftovers(wanted ...string) []string {
	b.t.Helper()
	all := b.Text(`document.documentElement.outerHTML + JSON.stringify(Object.assign({}, sessionStorage)) + JSON.stringify(Object.assign({}, localStorage)) + location.href +
		Array.from(document.querySelectorAll("input")).map(function (i) { return i.value; }).join(" ") + document.title`)
	var found []string
	for _, w := range wanted {
		if strings.Contains(all, w) {
			found = append(found, w)
		}
	}
	return found
}

// Reload loads the page anew, as F5 does.
func Reload() chromedp.Action[chromedp.Void] { return chromedp.Reload() }
