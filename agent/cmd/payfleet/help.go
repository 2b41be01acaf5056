package main

import (
	"errors"
	"io"
	"strings"
)

// helpAsked is what parse gives where somebody asks for help: not an error.
type helpAsked struct{ flags string }

func (helpAsked) Error() string { return "help" }

// examples are command lines that work as they stand, but for names, against
// make demo-fleet or an authority in the folder CA.
func examples() map[string]string {
	return map[string]string{
		"ca": `
  payfleet ca init --dir CA --site H1 --domain hospital.example --broker mqtts://broker.hospital.example:8883
  payfleet ca server --dir CA --out broker broker.hospital.example 10.1.2.3
  payfleet ca client --dir CA --out ops ops
  payfleet ca code --dir CA --site H1 --box TILL-21 --valid 24h
  payfleet ca revoke --dir CA TILL-21 --reason stolen
`,
		"broker": `
  payfleet broker
  payfleet broker --listen 10.0.0.5:8883 --data /var/lib/payfleet/broker --ca CA/authority.pem --cert broker/broker.hospital.example.pem --key broker/broker.hospital.example.key --crl CA/crl.pem --roles ops=operate,hub=hub
`,
		"ls": `
  payfleet ls --broker mqtt://127.0.0.1:1883
  payfleet ls --broker mqtt://127.0.0.1:1883 --alarm any --json
`,
		"show": `
  payfleet show TILL-09 --broker mqtt://127.0.0.1:1883
  payfleet show H1/TILL-09 --broker mqtt://127.0.0.1:1883 --json
`,
		"watch": `
  payfleet watch --broker mqtt://127.0.0.1:1883
  payfleet watch TILL-09 --broker mqtt://127.0.0.1:1883 --json
`,
		"send": `
  payfleet send TILL-09 devices.test --sign-with ops.key.json --broker mqtt://127.0.0.1:1883
  payfleet send TILL-09 log.upload --args {"lines":500} --out till09.log.gz --sign-with ops.key.json
  payfleet send --add-signature cmd.json --sign-with li.key.json
`,
		"config": `
  payfleet config get TILL-09 --broker mqtt://127.0.0.1:1883
  payfleet config diff TILL-09 new.yaml
  payfleet config sign new.yaml --out config.json --sign-with wang.key.json --site H1 TILL-01 TILL-09
  payfleet config set config.json
  payfleet config apply config.json --sign-with wang.key.json --first TILL-01 --soak 30m
  payfleet config rollback TILL-09 --sign-with wang.key.json
`,
		"update": `
  payfleet update manifest --version 1.4.0 --url https://mirror.hospital.example/1.4.0 --out manifest.json build/payagent
  payfleet update sign manifest.json --out update.json --sign-with wang.key.json
  payfleet update inspect update.json
  payfleet update send update.json --sign-with ops.key.json --site H1 --first TILL-01
`,
		"rollout": `
  payfleet rollout ls --broker mqtt://127.0.0.1:1883
  payfleet rollout pause update-20260314-220000 --by wang
  payfleet rollout run update-20260314-220000 --sign-with ops.key.json
`,
		"console": `
  payfleet console --broker mqtt://127.0.0.1:1883 --listen 127.0.0.1:8786
  payfleet console --sign-with ops.key.json --key-id ops
`,
		"key": `
  payfleet key new --file ops.key.json --id ops --roles operate
  payfleet key show --file ops.key.json
`,
		"relay": `
  payfleet relay key --key-file exchange.key
  payfleet relay check --file relay.yaml
  payfleet relay --file relay.yaml
`,
		"hub": `
  payfleet hub key --key-file hub.key
  payfleet hub check --file hub.yaml
  payfleet hub --file hub.yaml
  payfleet hub reconcile --file hub.yaml --day 2026-11-22 --statement statement.csv --format csv --out day.csv
  payfleet hub quarantine --file hub.yaml --raw
`,
	}
}

// usages are the texts of commands that have several verbs.
func usages() map[string]string {
	return map[string]string{"ca": caUsage, "config": configUsage, "update": updateUsage, "key": keyUsage, "relay": relayUsage, "hub": hubUsage}
}

// usageOf is what the general usage says of a command.
func usageOf(name string) string {
	if text, ok := usages()[name]; ok {
		return text
	}
	var lines []string
	for line := range strings.Lines(usage) {
		of := strings.HasPrefix(line, "  payfleet "+name+" ")
		if of || len(lines) > 0 && strings.HasPrefix(line, "     ") {
			lines = append(lines, line)
		} else if len(lines) > 0 {
			break
		}
	}
	return strings.Join(lines, "")
}

// help tells of one command: what it does, examples, its flags.
func help(name, flags string, out io.Writer) error {
	text := usageOf(name) + "\n例 Examples:\n" + strings.TrimPrefix(examples()[name], "\n")
	if _, list, ok := strings.Cut(flags, "\n"); ok && list != "" {
		text += "\n参数 Flags:\n" + list + "\n"
	}
	_, err := io.WriteString(out, text)
	return err
}

// orHelp answers where a command was asked for help.
func orHelp(name string, err error, out io.Writer) error {
	var asked helpAsked
	if errors.As(err, &asked) {
		return help(name, asked.flags, out)
	}
	return err
}
