package his

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// maxEvent bounds one line of the event stream, in bytes.
const maxEvent = 1 << 20

// Events reads the agent's event stream from after the event since (empty: from
// now) and hands over each event with its id, name and data, until the stream
// breaks, hear gives an error or the context ends. The error is never nil.
func (c *Client) Events(ctx context.Context, since string, hear func(id, name string, data []byte) error) error {
	u := c.base.JoinPath("/v1/events")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("cannot make the request: %w", err)
	}
	if since != "" {
		req.Header.Set("Last-Event-ID", since)
	}
	if c.tokenFile != "" {
		token, err := os.ReadFile(c.tokenFile)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrToken, err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("cannot hear the agent's events: it answered %s", resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	var id, name string
	var data []byte
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			data = append(data, value...)
		case "":
			if len(lines.Bytes()) == 0 && name != "" {
				if err := hear(id, name, data); err != nil {
					return err
				}
				id, name, data = "", "", nil
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return errors.Join(ErrUnreachable, errors.New("the agent ended the stream"))
}
