package sim

const fReplace = "agent/counter/replace.go"

// swapMutants are the broken rules of a box in the place of another one.
func swapMutants() []mutant {
	return []mutant{
		{"W01", "a cancel that the box before sent is forgotten", w("I6", "I1"), []edit{
			{fReplace, "	if k.Canceled {\n", "	if false {\n"}}},
		{"W02", "a refund that the box before sent is forgotten", w("I8", "I1"), []edit{
			{fReplace, "		list = append(list, b.Refunds...)\n", "		list = append(list, b.Refunds[:0]...)\n"}}},
		{"W03", "what was paid at the box before is canceled where nobody can be asked", w("ORD-20"), []edit{
			{fWord, " || o.Doubt == amountDiffers || o.paidBefore() {", " || o.Doubt == amountDiffers {"}}},
		{"W04", "a bill that another box has open is asked for anew", w("ORD-09"), []edit{
			{fReplace, "	if k.Spec.Bill != \"\" {\n", "	k.Spec.Bill = \"\"\n	if k.Spec.Bill != \"\" {\n"}}},
		{"W05", "late money at the box before is nobody's", w("I10", "I1"), []edit{
			{fReplace, "	if o.SentAt == nil && !o.Foreign ||", "	if unpaid || o.SentAt == nil && !o.Foreign ||"}}},
	}
}
