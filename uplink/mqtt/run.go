package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// run connects again and again until Close.
func (c *Client) run() {
	wait := c.cfg.Phase()
	for {
		if !sleep(c.ctx, wait) {
			return
		}
		started := time.Now()
		ended, err := c.once()
		if c.ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		kicks := c.kicked()
		c.mu.Unlock()
		if ended == nil {
			c.cfg.Logger.Info("the broker cannot be reached", "cause", err.Error())
		}
		wait = c.pace(ended != nil, time.Since(started), kicks)
	}
}

// pace is how long to wait after a connection was lost (had), or after an
// attempt that took so long.
func (c *Client) pace(had bool, took time.Duration, kicks int) time.Duration {
	slower := time.Duration(1)
	if kicks >= manyKicks {
		slower = kickedSlower
	}
	if had {
		return c.cfg.Phase() * slower
	}
	// From the start of the attempt, so that a slow refusal keeps the phase.
	return max(0, c.cfg.Every*slower-took)
}

// lost is how a connection ended.
type lost struct {
	err   error
	lived time.Duration
}

// kicked tells whether it ended as it does when another client takes our name:
// the broker ends it, and soon, because the other one tries at our pace.
func (l *lost) kicked(every time.Duration) bool {
	return errors.Is(l.err, io.EOF) && l.lived < 2*every
}

// once makes one connection and stays with it until it is lost. A nil lost
// means that there was none.
func (c *Client) once() (*lost, error) {
	conn, err := c.connect()
	if err != nil {
		c.mu.Lock()
		c.lastLost = nil
		if !c.closed {
			c.tell(false, err.Error())
		}
		c.mu.Unlock()
		return nil, err
	}
	c.mu.Lock()
	if c.lastLost != nil && c.lastLost.kicked(c.cfg.Every) {
		c.kicks = append(c.kicks, time.Now())
	}
	kicks := c.kicked()
	c.mu.Unlock()
	if kicks >= manyKicks {
		c.cfg.Logger.Warn("another client seems to use our name at the broker", "kicked", kicks, "client_id", c.cfg.ClientID)
	}
	began := time.Now()
	err = conn.stay()
	l := &lost{err: err, lived: time.Since(began)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastLost = l
	c.conn = nil
	// In front of what was never sent, in the old order.
	back := conn.takeBack()
	for i := len(back) - 1; i >= 0; i-- {
		back[i].at = c.unsent.PushFront(back[i])
	}
	if !c.closed {
		cause := fmt.Sprintf("the connection to the broker was lost: %v", err)
		if kicks >= manyKicks {
			cause += fmt.Sprintf("; another client seems to have our name (%d times within ten minutes)", kicks)
		}
		c.tell(false, cause)
		c.cfg.Logger.Info("the connection to the broker was lost", "cause", err.Error())
	}
	return l, err
}

func sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
