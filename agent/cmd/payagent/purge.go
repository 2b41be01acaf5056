package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"payagent/agent/config"
	"payagent/queue/bolt"
)

const purgeUsage = `payagent purge --orders --config FILE

Removes every order, key, token and audit of this box for good: all that lies in
data_dir. Removing or purging the package does not do it. The service must be
stopped and no order be open; one sentence has to be typed.
删除本机全部订单、密钥、令牌、审计记录，不可恢复。卸载软件包不会删除它们。须先停止服务、没有未结订单，
并输入一句确认的话。
`

// purgeCommand removes what the box remembers, which is money: nothing else in
// the program or its packages does.
func purgeCommand(args []string, in io.Reader, out io.Writer) error {
	f := flag.NewFlagSet("purge", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	orders := f.Bool("orders", false, "remove the orders")
	file := f.String("config", "", "configuration file")
	if err := f.Parse(args); err != nil || f.NArg() > 0 || !*orders || *file == "" {
		return fmt.Errorf("%w\n\n%s", errUsage, purgeUsage)
	}
	c, err := config.Load(*file)
	if err != nil {
		return err
	}
	if _, err := os.Stat(storeDir(c)); errors.Is(err, os.ErrNotExist) {
		_, err := fmt.Fprintf(out, "%s 里没有订单 there are no orders in %[1]s\n", c.DataDir)
		return err
	}
	store, report, err := bolt.Open(storeDir(c), bolt.Options{Writer: storeVersion})
	if err != nil {
		return fmt.Errorf("cannot purge; stop the service first: %w", err)
	}
	defer func() { _ = store.Close() }()
	open, err := store.Open()
	if err != nil {
		return err
	}
	if n := len(open) + len(report.Slots); n > 0 {
		return fmt.Errorf("cannot purge: %d orders are open and money may be on its way; start the service and look with payagent queue ls", n)
	}
	sentence := "delete the orders of " + c.Site.HospitalID
	if _, err := fmt.Fprintf(out, "将永久删除 %s（%s）里的全部订单、密钥、审计记录。This removes all orders, keys and the audit in %[1]s for good.\n请输入 Type:  %[3]s\n> ",
		c.DataDir, c.Site.Name, sentence); err != nil {
		return err
	}
	typed := bufio.NewScanner(in)
	if !typed.Scan() || typed.Text() != sentence {
		return errors.New("nothing was removed: what was typed is another sentence")
	}
	// The lock is held to the end, so that no agent starts in the middle.
	list, err := os.ReadDir(c.DataDir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range list {
		if path := filepath.Join(c.DataDir, e.Name()); path != storeDir(c) {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	// Windows removes no open file.
	if errs = append(errs, store.Close(), os.RemoveAll(storeDir(c))); errors.Join(errs...) != nil {
		return fmt.Errorf("cannot remove everything: %w", errors.Join(errs...))
	}
	_, err = fmt.Fprintf(out, "已删除 removed: %s\n", c.DataDir)
	return err
}
