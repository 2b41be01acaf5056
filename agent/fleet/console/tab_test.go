package console

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// patient bounds what must happen; it never does unless something is broken.
const patient = 2 * time.Minute

func browser(t *testing.T) context.Context {
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

// tab is a page under test, in a browser profile of its own.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// skew lets a test stop the page's clock and move it forward: the pages measure
// time with performance.now().
const skew = `(function () {
  const real = performance.now.bind(performance);
  let ahead = 0, held = null;
  performance.now = function () { return (held === null ? real() : held) + ahead; };
  window.testHold = function (on) { held = on ? real() : null; };
  window.testAhead = function (ms) { ahead += ms; };
  window.testFaults = [];
  window.addEventListener("error", function (e) { window.testFaults.push(String(e.message)); });
  window.addEventListener("unhandledrejection", function (e) { window.testFaults.push(String(e.reason)); });
  document.addEventListener("securitypolicyviolation", function (e) { window.testFaults.push("policy: " + e.violatedDirective + " " + e.blockedURI); });
})()`

func open(t *testing.T, parent context.Context, address string, width, height int64, scripts ...string) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	b := &tab{t: t, ctx: ctx}
	b.do(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: strings.Join(append([]string{skew}, scripts...), ";\n")})
		return err
	}), chromedp.Navigate(address))
	t.Cleanup(func() {
		if faults := b.text(`(window.testFaults || []).join("; ")`); faults != "" {
			t.Errorf("the page had faults: %s", faults)
		}
	})
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// text evaluates an expression that gives a text.
func (b *tab) text(expression string) string {
	b.t.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		b.t.Errorf("%s: %v", expression, err)
	}
	return s
}

func (b *tab) truth(expression string) bool {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// wait comes back when the expression is true. The page looks for itself; a
// deadline ends what never comes true.
func (b *tab) wait(expression string) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, patient)
	defer stop()
	_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(`new Promise(function (done) {
		const look = function () { if (%s) { done(true); } else { setTimeout(look, 20); } };
		look();
	})`, expression), chromedp.EvalAwaitPromise))
	if err != nil {
		seen := b.text("document.body.innerText")
		b.t.Fatalf("waiting for %s: %v\nthe page says: %s", expression, err, seen)
	}
}

// says waits for words on the page.
func (b *tab) says(words string) {
	b.t.Helper()
	b.wait(fmt.Sprintf(`document.body.innerText.indexOf(%q) >= 0`, words))
}

// ahead moves the page's clock.
func (b *tab) ahead(ms int) { b.truth(fmt.Sprintf("(window.testAhead(%d), true)", ms)) }

// shot takes a picture (PNG) and keeps it where PAGES_SHOTS says, for people to
// look at.
func (b *tab) shot(name string) []byte {
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

// fits checks how the page looks. whole: nothing may need scrolling.
func (b *tab) fits(whole bool, minPx int, minContrast float64) {
	b.t.Helper()
	if faults := b.text(fmt.Sprintf(look, whole, minPx, minContrast)); faults != "" {
		b.t.Errorf("it does not look right: %s", faults)
	}
}
