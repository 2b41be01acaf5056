package main

import (
	"context"
	"fmt"

	"payagent/agent/books"
	"payagent/agent/config"
	"payagent/agent/facade"
	"payagent/platforms/fwc/fwcserve"
)

// openBooks puts what reconciliation asks a hospital beside the door, where
// the configuration has it.
func (b *assembly) openBooks(c config.Config) error {
	if !c.Books.On() {
		return nil
	}
	h, err := fwcserve.New(books.New(b.agent), fwcserve.Config{Namespace: c.Books.Namespace, ActionPrefix: c.Books.ActionPrefix, ParamName: c.Books.ParamName,
		Token: facade.Secret(c.Books.TokenFile, 1, b.log), RequireToken: c.Books.RequireToken, RefundSign: c.Books.RefundSign,
		EndExclusive: !c.Books.EndInclusive, PayTypes: c.Books.PayTypeNames, Root: c.Books.RootElement, MaxRange: c.Books.MaxRange,
		IncludeUnbooked: c.Books.IncludeUnbooked, Logger: b.log})
	if err != nil {
		return fmt.Errorf("books: %w", err)
	}
	b.beside = append(b.beside, func(ctx context.Context) error { return facade.ServeBooks(ctx, b.agent, h, b.log) })
	return nil
}
