package docgen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPagesTellOfWhatExists(t *testing.T) {
	c, err := NewChecker(root)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := c.Pages()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range pages {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range c.Page(name, string(text)) {
			t.Error(w)
		}
	}
	for _, must := range []string{"README.md", "CHANGELOG.md", "docs/architecture.md", "docs/operations.md", "docs/states.md", "docs/interfaces.md",
		"docs/configuration.md", "docs/words.md", "agent/config/KEYS.md", "agent/words/WORDS.md"} {
		if !strings.Contains(" "+strings.Join(pages, " ")+" ", " "+must+" ") {
			t.Errorf("there is no %s", must)
		}
	}
}

// The checks find what is wrong, and leave alone what is right.
func TestCheckerFindsNonsense(t *testing.T) {
	c, err := NewChecker(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct{ text, want string }{
		"good":               {"[words](docs/states.md) `make test` `payagent run --config FILE` `door.listen` `agent/order` `POST /v1/orders/{id}/cancel` `patient.name` `order.go`", ""},
		"good block":         {"```sh\nmake sim SEED=7\nbuild/payagent token add --config F --name HIS \\\n  --scopes collect\ncurl -s http://127.0.0.1:8780/v1/orders/$NO?wait=30s\n```", ""},
		"good anchor":        {"[x](docs/states.md#状态一览-what-each-state-means)", ""},
		"link":               {"[x](docs/nothing.md)", "leads nowhere"},
		"link outside":       {"[x](../secret.md)", "leads nowhere"},
		"absolute link":      {"[x](/docs/states.md)", "leads nowhere"},
		"anchor":             {"[x](docs/states.md#no-such-heading)", "no heading"},
		"make":               {"`make coffee`", "no target"},
		"make in a block":    {"```\nmake teest\n```", "no target"},
		"command":            {"`payagent refund --config FILE`", "no such command"},
		"second word":        {"`payagent orders delete`", "no such command"},
		"flag":               {"```\n$ payagent run --conf FILE\n```", "no flag"},
		"flag of another":    {"`payagent config check --bill B`", "no flag"},
		"paysim":             {"`paysim fly`", "no such command"},
		"key":                {"`policy.horizn`", "no configuration key"},
		"key with a value":   {"`door.port: 80`", "no configuration key"},
		"driver's key":       {"`tills[].scanners[].options.bauds`", "no configuration key"},
		"path":               {"`agent/ordr`", "does not exist"},
		"metric":             {"`payagent_money_total`", "no metric"},
		"route":              {"`GET /v1/bills`", "no route"},
		"method":             {"`GET /v1/orders/{id}/cancel`", "no route"},
		"route in a block":   {"```\ncurl http://127.0.0.1:8780/v1/order/1\n```", "no route"},
		"below an article":   {"[x](states.md)", "leads nowhere"},
		"words of catalogue": {"`canceled.close` `canceled.open`", "canceled.open"},
	} {
		got := strings.Join(c.Page("x.md", x.text), "\n")
		if x.want == "" && got != "" || !strings.Contains(got, x.want) {
			t.Errorf("%s: got %q, want %q", name, got, x.want)
		}
	}
}
