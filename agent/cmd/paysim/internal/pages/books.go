package pages

import (
	"context"
	"errors"
	"net/http"

	"payagent/agent/cmd/paysim/internal/his"
	"payagent/platforms"
)

// Books is HIS's own books and how its clerk books.
type Books struct {
	Conduct his.Conduct  `json:"conduct"`
	Manners []his.Manner `json:"manners"`
	Entries []his.Entry  `json:"entries"`
}

// Comparison is GET /compare: the platforms' truth, the agent and HIS's books.
type Comparison struct {
	Test   bool              `json:"test"` // always true
	Rows   []his.Row         `json:"rows"`
	Counts map[his.Class]int `json:"counts"`
}

func (s *server) bookRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /his/books", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.books()) })
	mux.HandleFunc("POST /his/conduct", func(w http.ResponseWriter, r *http.Request) {
		var want his.Conduct
		err := read(r, &want)
		if err == nil {
			err = s.Clerk.Behave(want)
		}
		answer(w, s.books(), err)
	})
	mux.HandleFunc("POST /his/orders/{no}/booking", func(w http.ResponseWriter, r *http.Request) {
		var want struct {
			Failed bool   `json:"failed"`
			Reason string `json:"reason"`
		}
		err := read(r, &want)
		if err == nil {
			err = s.book(r.Context(), r.PathValue("no"), want.Failed, want.Reason)
		}
		if errors.Is(err, his.ErrUnreachable) || errors.Is(err, his.ErrToken) {
			refuse(w, http.StatusBadGateway, err)
			return
		}
		answer(w, s.books(), err)
	})
	mux.HandleFunc("GET /compare", func(w http.ResponseWriter, r *http.Request) {
		c, err := s.compare(r.Context())
		if err != nil {
			refuse(w, http.StatusBadGateway, err)
			return
		}
		reply(w, c)
	})
}

func (s *server) books() Books {
	return Books{Conduct: s.Clerk.Conduct(), Manners: his.Manners(), Entries: s.Clerk.Books().List()}
}

// book is a person at HIS who books an order, or says that it failed.
func (s *server) book(ctx context.Context, no string, failed bool, reason string) error {
	if failed {
		if reason == "" {
			reason = "测试：HIS 业务处理失败"
		}
		return s.Clerk.Fail(ctx, no, reason)
	}
	a, err := s.Desk.Client().Get(ctx, no, 0)
	if err != nil {
		return err
	}
	seen, ok := a.Order()
	if !ok || seen.State != "paid" {
		return errors.New("cannot book: the order is not paid")
	}
	return s.Clerk.Book(ctx, seen)
}

// compare asks the agent of every order that a platform or HIS knows.
func (s *server) compare(ctx context.Context) (Comparison, error) {
	truth, err := s.World.Truth()
	if err != nil {
		return Comparison{}, err
	}
	platform, told := map[string]platforms.Fen{}, map[string]his.Seen{}
	for _, o := range truth.Orders {
		platform[o.OrderNo] = o.NetFen
	}
	entries := s.Clerk.Books().List()
	ask := func(no string) error {
		if _, known := told[no]; known {
			return nil
		}
		a, err := s.Desk.Client().Get(ctx, no, 0)
		if err != nil {
			return err
		}
		if seen, ok := a.Order(); ok {
			told[no] = seen
		} else if a.Status != http.StatusNotFound {
			return errors.New("cannot compare: the agent did not tell of order " + no)
		}
		return nil
	}
	for no := range platform {
		err = errors.Join(err, ask(no))
	}
	for _, e := range entries {
		err = errors.Join(err, ask(e.OrderNo))
	}
	if err != nil {
		return Comparison{}, err
	}
	c := Comparison{Test: true, Rows: his.Compare(platform, told, entries), Counts: map[his.Class]int{}}
	for _, r := range c.Rows {
		c.Counts[r.Class]++
	}
	return c, nil
}
