package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"payagent/agent/fleet"
	"payagent/agent/fleet/conduct"
	"payagent/agent/fleet/rollout"
	"payagent/agent/fleet/view"
	"payagent/agent/fleet/watch"
	"payagent/uplink"
)

// rolling are the flags of commands that begin a roll-out.
type rolling struct {
	id, stages, first, note       string
	soak, expires, answer, giveUp time.Duration
	fail, parallel                int
}

func rollingFlags(f *flag.FlagSet) *rolling {
	r := &rolling{}
	f.StringVar(&r.id, "id", "", "`name` of the roll-out; from verb and time by default")
	f.StringVar(&r.stages, "stages", "1,10,100", "`percent` of the boxes in each stage")
	f.StringVar(&r.first, "first", "", "`boxes` that go before all others, separated by commas")
	f.StringVar(&r.note, "note", "", "`text` for people")
	f.DurationVar(&r.soak, "soak", 30*time.Minute, "how long the boxes of a stage must stay healthy before the next")
	f.DurationVar(&r.expires, "expires", 24*time.Hour, "how long a command may wait at a box for its moment")
	f.DurationVar(&r.answer, "answer", 26*time.Hour, "after how long without an end a box counts as lost")
	f.DurationVar(&r.giveUp, "give-up", 7*24*time.Hour, "how long boxes that are away are waited for")
	f.IntVar(&r.fail, "fail", 2, "`percent` of a stage that may fail before it stops; a box that goes back or is lost always stops it")
	f.IntVar(&r.parallel, "parallel", 50, "how many boxes may be under way at once")
	return r
}

func (r *rolling) spec(site, verb string, args any, boxes []string) (rollout.Spec, error) {
	data, err := json.Marshal(args)
	if err != nil {
		return rollout.Spec{}, err
	}
	s := rollout.Spec{ID: r.id, Site: site, Verb: verb, Args: data, Note: r.note, Boxes: boxes, SoakS: int64(r.soak / time.Second), ExpiresS: int64(r.expires / time.Second),
		AnswerS: int64(r.answer / time.Second), GiveUpS: int64(r.giveUp / time.Second), FailPercent: r.fail, Parallel: r.parallel}
	if s.ID == "" {
		s.ID = strings.ReplaceAll(verb, ".", "-") + "-" + time.Now().Format("20060102-150405")
	}
	if r.first != "" {
		s.First = strings.Split(r.first, ",")
	}
	for _, p := range strings.Split(r.stages, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(p))
		if err != nil {
			return s, fmt.Errorf("%w: --stages takes percents such as 1,10,100", errUsage)
		}
		s.Percent = append(s.Percent, n)
	}
	return s, nil
}

// conduct carries a roll-out out and prints what becomes of it.
func (s *session) conduct(ctx context.Context, r *rollout.Rollout, keys *signing, document []byte) error {
	private, err := keys.keys(s.console)
	if err != nil {
		return err
	}
	id := r.State().Spec.ID
	if _, err := fmt.Fprintf(s.out, s.pick("发布 %s 开始。可以中断本程序；用 payfleet rollout run %s 接着做。\n", "Roll-out %s begins. This program may be stopped; payfleet rollout run %s goes on with it.\n"), id, id); err != nil {
		return err
	}
	last, told := "", false
	end, err := conduct.Run(ctx, r, conduct.Options{Bus: s.bus, Watch: s.watch, Root: s.Root, Keys: private, Document: document, Every: time.Second, Tell: func(st rollout.State) {
		if line := s.rolloutLine(st); line != last {
			last = line
			_, _ = fmt.Fprintf(s.out, "%s  %s\n", time.Now().Format(time.TimeOnly), line) // a lost line loses nothing
		}
		if st.Phase == rollout.Stopped && !told {
			_, _ = fmt.Fprintf(s.out, s.pick("已停下：payfleet rollout resume %s 接着做，payfleet rollout abort %s 永远停止；本程序等着。\n", "It has stopped: payfleet rollout resume %s goes on, payfleet rollout abort %s ends it; this program waits.\n"), id, id)
		}
		told = st.Phase == rollout.Stopped
	}})
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	if end.Phase != rollout.Done || end.Why != "" {
		return exitCode(codeAlarm)
	}
	return nil
}

// shownReasons is of how many boxes a line says why they failed; payfleet show
// says it in full of each.
const shownReasons = 5

func (s *session) rolloutLine(st rollout.State) string {
	parts := []string{s.say("phase", st.Phase)}
	if st.Why != "" {
		parts = append(parts, s.say("why", st.Why))
	}
	for i, g := range st.Stages() {
		if i <= st.Stage {
			parts = append(parts, fmt.Sprintf(s.pick("%d%%（%d 台）：好 %d 观察 %d 进行 %d 坏 %d 待 %d", "%d%% (%d): good %d watched %d under way %d bad %d to come %d"), g.Percent, g.Boxes, g.Good, g.Soaking, g.Sent, g.Bad, g.Waiting))
		}
	}
	if st.AwayCount > 0 {
		parts = append(parts, fmt.Sprintf(s.pick("不在线 %d", "away %d"), st.AwayCount))
	}
	for i, box := range slices.Sorted(maps.Keys(st.Reasons)) {
		if i == shownReasons {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, clean(box+": "+s.code(st.Reasons[box])))
	}
	return strings.Join(parts, " | ")
}

// findRollout finds a roll-out by its id.
func (s *session) findRollout(id string) (rollout.State, error) {
	var found []view.Rollout
	s.watch.Do(func(m *view.Model, _ time.Time) {
		for _, r := range m.Rollouts() {
			if r.ID == id && (s.Site == "" || r.Site == s.Site) {
				found = append(found, r)
			}
		}
	})
	switch len(found) {
	case 0:
		return rollout.State{}, fmt.Errorf("cannot find roll-out %s; payfleet rollout ls lists them", id)
	case 1:
		return rollout.Decode(found[0].Data)
	}
	return rollout.State{}, fmt.Errorf("cannot tell which roll-out %s is meant; add --site", id)
}

// rolloutCommand lists roll-outs, tells whoever carries one out what to do, or
// goes on with one.
func rolloutCommand(ctx context.Context, args []string, c console) error {
	f := flag.NewFlagSet("rollout", flag.ContinueOnError)
	l, keys := lookingFlags(f), signingFlags(f)
	by := f.String("by", "", "`who` asks for it")
	words, err := parse(f, args)
	if err != nil {
		return err
	}
	wrong := fmt.Errorf("%w: payfleet rollout ls, or pause|resume|abort|run|forget ID", errUsage)
	if len(words) == 0 || words[0] == "ls" != (len(words) == 1) || len(words) > 2 {
		return wrong
	}
	s, err := l.open(ctx, c, "rollout")
	if err != nil {
		return err
	}
	defer s.close()
	if words[0] == "ls" {
		return s.listRollouts()
	}
	st, err := s.findRollout(words[1])
	if err != nil {
		return err
	}
	switch words[0] {
	case conduct.Pause, conduct.Resume, conduct.Abort:
		return conduct.Ask(ctx, s.bus, s.Root, st.Spec.Site, st.Spec.ID, conduct.Act{Act: words[0], By: *by, At: time.Now()})
	case "run":
		document, err := s.retained(ctx, l.settle, conduct.Topic(s.Root, st.Spec.Site, st.Spec.ID, "document"))
		if err != nil {
			return err
		}
		r, err := rollout.Restore(st)
		if err != nil {
			return err
		}
		return s.conduct(ctx, r, keys, document)
	case "forget":
		if !st.Over() {
			return errors.New("cannot forget a roll-out that is not over; abort it first (what carries it out ends it then; where nothing does, payfleet rollout run)")
		}
		for _, more := range [][]string{nil, {"document"}, {"control"}} {
			if err := s.bus.Publish(ctx, uplink.Message{Topic: conduct.Topic(s.Root, st.Spec.Site, st.Spec.ID, more...), Retain: true}); err != nil {
				return err
			}
		}
		return nil
	}
	return wrong
}

func (s *session) listRollouts() error {
	var rows [][]string
	s.watch.Do(func(m *view.Model, now time.Time) {
		for _, r := range m.Rollouts() {
			if st, err := rollout.Decode(r.Data); err == nil {
				rows = append(rows, []string{r.Site, r.ID, s.say("verb", st.Spec.Verb), s.ago(int64(now.Sub(st.At) / time.Second)), s.rolloutLine(st), clean(st.Spec.Note)})
			}
		}
	})
	return table(s.out, rows)
}

// retained gets what the broker keeps at one topic; nil for nothing.
func (s *session) retained(ctx context.Context, quiet time.Duration, topic string) ([]byte, error) {
	got := make(chan []byte, 1)
	stop, err := s.bus.Subscribe(topic, func(m uplink.Message) {
		select {
		case got <- slices.Clone(m.Payload):
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	defer stop()
	if err := watch.Listen(ctx, max(quiet, time.Second), func() bool { return len(got) > 0 }); err != nil {
		return nil, err
	}
	select {
	case data := <-got:
		return data, nil
	default:
		return nil, nil
	}
}

// chosen are the boxes of one site that a command is for: those named, else
// those that the filter chooses.
func (s *session) chosen(names []string, f view.Filter) (site string, boxes []string, err error) {
	var keys []view.Key
	for _, name := range names {
		k, err := s.find(name)
		if err != nil {
			return "", nil, err
		}
		keys = append(keys, k)
	}
	if len(names) == 0 {
		f.Site = s.Site
		s.watch.Do(func(m *view.Model, now time.Time) { keys = m.Boxes(f, now) })
	}
	for _, k := range keys {
		if site != "" && k.Site != site {
			return "", nil, fmt.Errorf("cannot roll out to %s and %s at once: a roll-out is of one site; add --site", site, k.Site)
		}
		site = k.Site
		boxes = append(boxes, k.Box)
	}
	if len(boxes) == 0 {
		return "", nil, errors.New("cannot roll out: no box is chosen; payfleet ls shows those that the broker knows")
	}
	return site, boxes, nil
}

// peekReported reads reported/config of a box.
func (s *session) peekReported(k view.Key) (r fleet.ReportedConfig, ok bool) {
	s.watch.Do(func(m *view.Model, _ time.Time) {
		ok = json.Unmarshal(m.Reported(k, "config"), &r) == nil
	})
	return r, ok
}
