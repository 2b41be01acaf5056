package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"payagent/agent/fleet/keyring"
	"payagent/agent/seal"
)

const keyUsage = `payfleet key — keys that sign commands, configurations and updates   签名密钥

  payfleet key new  --file FILE --id NAME --roles operate,config,release   make a key; FILE is locked with a passphrase   新建密钥
  payfleet key show --file FILE        the public halves, as fleet.keys of the boxes' configuration takes them   显示公钥

  --passphrase-file FILE   a file (mode 0600) with the passphrase, where nobody sits at a keyboard   口令文件

  operate: restart, logs, diagnostics   config: configuration   release: updates
  配置更改支付去向、以及每次更新，都要两个人用不同的密钥签名。
  An update, and a configuration that changes where money goes, take the signatures of two different keys: give two people a file each.
`

// keyCommand runs payfleet key ….
func keyCommand(args []string, c console) error {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	var file, id, roles, pass string
	f := flag.NewFlagSet("key", flag.ContinueOnError)
	f.StringVar(&file, "file", "", "key `file`")
	f.StringVar(&id, "id", "", "`name` of the key")
	f.StringVar(&roles, "roles", "", "what it may sign, separated by commas")
	f.StringVar(&pass, "passphrase-file", "", "`file` with the passphrase")
	if verb == "" || verb == "-h" || verb == "--help" {
		return help("key", "", c.out)
	}
	words, err := parse(f, args)
	switch {
	case err != nil:
		return err
	case len(words) > 0 || file == "" || verb != "new" && verb != "show" || verb == "new" && (id == "" || roles == ""):
		return fmt.Errorf("%w\n\n%s", errUsage, keyUsage)
	}
	if verb == "new" {
		_, missing := os.Stat(file)
		k, err := keyring.New(file, id, strings.Split(roles, ","), c.passphrase(pass, file, missing != nil))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "# 写入各机器配置的 fleet.keys： for fleet.keys in the boxes' configuration:\n%s\n", keyring.Entry(k))
		return err
	}
	list, err := keyring.Show(file)
	for _, k := range list {
		if _, err := fmt.Fprintln(c.out, keyring.Entry(k)); err != nil {
			return err
		}
	}
	return err
}

// passphrase asks for the passphrase of a file: by a file where one is named,
// else at the terminal, unseen; a new one twice.
func (c console) passphrase(from, what string, fresh bool) keyring.Passphrase {
	return func() (string, error) {
		if from != "" {
			secret, shared, err := seal.ReadSecret(from)
			if err == nil && shared {
				err = fmt.Errorf("cannot take the passphrase from %s: other users of this machine can read it; run chmod 600 on it", from)
			}
			return secret.Reveal(), err
		}
		in, ok := c.in.(*os.File)
		if !ok || !term.IsTerminal(int(in.Fd())) {
			return "", errors.New("cannot ask for the passphrase: there is no terminal; name a file with --passphrase-file")
		}
		ask := func(text string) (string, error) {
			if _, err := fmt.Fprint(c.err, text); err != nil {
				return "", err
			}
			word, err := term.ReadPassword(int(in.Fd()))
			_, _ = fmt.Fprintln(c.err) // the line end that was not shown
			return string(word), err
		}
		word, err := ask(fmt.Sprintf("口令 passphrase (%s): ", what))
		if err != nil || !fresh {
			return word, err
		}
		again, err := ask("再输一次 once more: ")
		if err == nil && again != word {
			err = errors.New("cannot go on: the two passphrases differ; begin again")
		}
		return word, err
	}
}
