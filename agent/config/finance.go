package config

import "strings"

// Finance is what closing a day goes by.
type Finance struct {
	// Files of the audit that are kept, one for each day on which something happened; 400 at least.
	AuditDays int
	// Queries under way at once while a day is reconciled, for each platform; live payments need the rest.
	ReconcileQueries int
}

func (v validator) finance() {
	if v.Finance.AuditDays < 400 || v.Finance.AuditDays > 36600 {
		v.add("finance.audit_days", "write a number of days from 400 to 36600")
	}
	if v.Finance.ReconcileQueries < 1 || v.Finance.ReconcileQueries > 64 {
		v.add("finance.reconcile_queries", "write a number from 1 to 64")
	}
}

// Business tells from an order number what the order was for, by the table of
// prefixes: the kind of till and the class, both empty where no prefix of the
// table begins it. The longest prefix wins.
func (c Config) Business(number string) (kind, class string) {
	longest := 0
	for _, k := range sortedKeys(c.Prefixes) {
		for _, key := range sortedKeys(c.Prefixes[k]) {
			p := c.Prefixes[k][key]
			if len(p) <= longest || !strings.HasPrefix(number, p) {
				continue
			}
			longest, kind, class = len(p), k, key
			if t, ok := c.OrderTypes[key]; ok {
				class = t.Class
			}
		}
	}
	return kind, class
}
