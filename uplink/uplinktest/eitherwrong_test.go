package uplinktest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"payagent/uplink"
	"payagent/uplink/uplinktest"
)

// pair is a small right way to join two; each field breaks one thing in it.
type pair struct {
	ways  [2]uplink.Route
	again time.Duration

	secondFirst  bool // begins with the second way
	repeats      bool // sends again by the other way whatever the error says
	neverOver    bool // gives up with the first way
	emptyOver    bool // forgets the body on the way over
	firstsWord   bool // what the first way proved counts for the second too
	noProof      bool // says of nothing that it was not sent
	afterTheEnd  bool // goes over though the time is over
	forgets      bool // begins with the first way each time
	neverLooks   bool // learns nothing from a request without time
	neverBack    bool // stays on the second way
	hastyBack    bool // goes back without looking
	stubborn     bool // does not leave a second way that fails
	patient      bool // stays with what brings no answers
	blind        bool // leaves what brings no answers without looking where to
	noQuestions  bool // questions are as everything else
	surelyNot    bool // says that a question was not sent when the second way says so
	reachesFirst bool // Reach looks at the first way only
	leavesOpen   bool // Close closes the first way only
	hurries      bool // sends what is under way again by the way that is taken now

	mu      sync.Mutex
	use     int
	lost    int
	open    []*http.Request // that began, where it hurries
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
}

func (p *pair) now() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forgets {
		return 0
	}
	return p.use
}

func (p *pair) prefer(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.use == i || p.stubborn && i == 0 {
		return
	}
	p.use, p.lost = i, 0
	for _, req := range p.open {
		p.running.Go(func() {
			out := req.Clone(p.ctx)
			out.Body, _ = req.GetBody()
			_, _ = p.ways[i].RoundTrip(out)
		})
	}
	p.open = nil
	if i == 1 && !p.neverBack {
		p.running.Go(p.back)
	}
}

func (p *pair) back() {
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-time.After(p.again):
		}
		if p.now() == 0 {
			return
		}
		if p.hastyBack || p.ways[0].Reach(p.ctx) == nil {
			p.prefer(0)
			return
		}
	}
}

func left(err error) bool {
	var n *uplink.NotSent
	return errors.As(err, &n)
}

func (p *pair) RoundTrip(req *http.Request) (*http.Response, error) {
	i, get := p.now(), req.GetBody
	if p.hurries {
		p.mu.Lock()
		p.open = append(p.open, req)
		p.mu.Unlock()
	}
	resp, err := p.ways[i].RoundTrip(req)
	if err == nil {
		return resp, nil
	}
	if !left(err) {
		p.mu.Lock()
		p.lost++
		over := p.lost >= 3 && !p.patient
		p.mu.Unlock()
		if over && (p.blind || p.ways[1-i].Reach(req.Context()) == nil) {
			p.prefer(1 - i)
		}
	}
	asking := uplink.IsAsking(req.Context()) && !p.noQuestions
	if req.Context().Err() != nil && !p.afterTheEnd {
		if left(err) && !p.neverLooks && p.ways[1-i].Reach(context.WithoutCancel(req.Context())) == nil {
			p.prefer(1 - i)
		}
		return nil, err
	}
	if p.neverOver || !left(err) && !asking && !p.repeats {
		return nil, p.tell(err)
	}
	out := req.Clone(req.Context())
	if out.Body, _ = get(); p.emptyOver {
		out.Body = http.NoBody
	}
	resp, other := p.ways[1-i].RoundTrip(out)
	switch {
	case other == nil || left(err) && !left(other):
		p.prefer(1 - i)
		if other != nil && p.firstsWord {
			other = err
		}
		return resp, p.tell(other)
	case left(err):
		return nil, p.tell(errors.Join(err, other))
	case p.surelyNot:
		return nil, other
	}
	return nil, err
}

func (p *pair) tell(err error) error {
	if err != nil && p.noProof {
		return errors.New(err.Error())
	}
	return err
}

func (p *pair) Reach(ctx context.Context) error {
	err := p.ways[0].Reach(ctx)
	if err != nil && !p.reachesFirst {
		err = p.ways[1].Reach(ctx)
	}
	return err
}

func (p *pair) Close() error {
	p.stop()
	p.running.Wait()
	if p.leavesOpen {
		return p.ways[0].Close()
	}
	return errors.Join(p.ways[0].Close(), p.ways[1].Close())
}

func pairs(tune func(*pair)) uplinktest.EitherOpener {
	return func(first, second uplink.Route, again time.Duration) uplink.Route {
		p := &pair{ways: [2]uplink.Route{first, second}, again: again}
		p.ctx, p.stop = context.WithCancel(context.Background())
		tune(p)
		if p.secondFirst {
			p.use = 1
		}
		return p
	}
}

// TestRightPairPasses: the reference has no fault.
func TestRightPairPasses(t *testing.T) { uplinktest.TestEither(t, pairs(func(*pair) {})) }

// TestWrongPairs: every broken rule fails the case that names it; above all one
// that pays again by the second way when the reply was lost.
func TestWrongPairs(t *testing.T) {
	cases := map[string]uplinktest.EitherCase{}
	for _, c := range uplinktest.EitherCases() {
		if c.Rule == "" || cases[c.Name].Name != "" {
			t.Fatalf("case %q has no rule or stands twice", c.Name)
		}
		cases[c.Name] = c
	}
	caught := map[string]bool{}
	for name, w := range map[string]struct {
		tune func(*pair)
		want []string
	}{
		"second first":       {func(p *pair) { p.secondFirst = true }, []string{"first"}},
		"pays twice":         {func(p *pair) { p.repeats = true }, []string{"lost-stays", "lost-stays-second"}},
		"hurries":            {func(p *pair) { p.hurries = true }, []string{"under-way"}},
		"never goes over":    {func(p *pair) { p.neverOver = true }, []string{"goes-over", "second-fails"}},
		"forgets the body":   {func(p *pair) { p.emptyOver = true }, []string{"goes-over"}},
		"the first's word":   {func(p *pair) { p.firstsWord = true }, []string{"over-and-lost"}},
		"no proof":           {func(p *pair) { p.noProof = true }, []string{"neither"}},
		"after the end":      {func(p *pair) { p.afterTheEnd = true }, []string{"ended"}},
		"forgets":            {func(p *pair) { p.forgets = true }, []string{"next"}},
		"never looks":        {func(p *pair) { p.neverLooks, p.afterTheEnd = true, false }, []string{"next-after-ended"}},
		"never back":         {func(p *pair) { p.neverBack = true }, []string{"comes-back"}},
		"back without look":  {func(p *pair) { p.hastyBack = true }, []string{"comes-back"}},
		"stubborn":           {func(p *pair) { p.stubborn = true }, []string{"comes-back"}},
		"patient":            {func(p *pair) { p.patient = true }, []string{"swallows"}},
		"blind":              {func(p *pair) { p.blind = true }, []string{"swallows-both"}},
		"no questions":       {func(p *pair) { p.noQuestions = true }, []string{"question"}},
		"surely not":         {func(p *pair) { p.surelyNot = true }, []string{"question-lost"}},
		"reaches first only": {func(p *pair) { p.reachesFirst = true }, []string{"reach"}},
		"leaves one open":    {func(p *pair) { p.leavesOpen = true }, []string{"close-both"}},
	} {
		for _, want := range w.want {
			caught[want] = true
			err := uplinktest.RunEither(t, pairs(w.tune), cases[want])
			if err == nil {
				t.Errorf("%s passes %q: %s", name, want, cases[want].Rule)
			} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), cases[want].Rule) {
				t.Errorf("the failure does not name its rule: %v", err)
			}
		}
	}
	for name := range cases {
		if !caught[name] {
			t.Errorf("nothing that is broken fails %q", name)
		}
	}
}
