package config

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
