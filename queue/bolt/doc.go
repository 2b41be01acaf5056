// Package bolt is the queue member on disk: a bbolt file for the log and a
// small file of slots beside it.
//
// # What is assumed of disks
//
// A sync that returned nil has reached the disk; a failed one says nothing
// about what did; a rename is atomic and lasting once its directory is synced;
// a write inside one 512-byte sector is whole or absent. Nothing else: any byte
// may be wrong at the next start, and then it is found or does not matter.
//
// # Files
//
//	orders.db                bbolt, created under a temporary name and renamed
//	intents.bin              slots, 256 bytes each, preallocated, two header copies
//	store.lock               locked while a program has the store open
//	orders.db.suspect        asks the next Open for a full check (see below)
//	*.damaged-<UTC stamp>    set aside; nothing here opens or deletes them again
//
// # Elements of orders.db
//
// Every value ends with the CRC32C (4 bytes, big endian) of its bucket's name,
// its key and itself, so that no bit of either can change unseen. Numbers are
// big endian.
//
//	log      seq8                     version1=1 nkeys1 previous8 stream keys data
//	streams  name                     first8 last8 count4
//	open     name                     first8
//	keys     len1 key name            seq8
//	slots    name                     doubt1 data
//	cursors  name                     seq8
//	meta     "format"                 oldest4 generation16
//	meta     "state"                  first8 last8, elements in log, streams, open, keys, slots, cursors (8 each)
//
// A record's data is stored once; streams are chains through "previous". The
// counts in "state" make lost elements visible. Buckets that this program does
// not know are carried along.
//
// # Opening
//
//  1. Take store.lock (one second), remove temporary files.
//  2. Read orders.db with ordinary reads, no mapping: metas, every page's
//     structure, every element of every bucket except the data of old records
//     (Options.CheckBytes bounds that part). Only a file that passes is given
//     to bbolt, whose own checks may end the process.
//  3. One meta page bad: go on with the other, and treat every slot that the
//     log does not agree with as in doubt (Report.Fallback, Report.Slots).
//  4. Anything else bad, the file empty, missing beside slots, or of another
//     generation than the slots: set it aside, create a new one, put every slot
//     that survived into Report.Slots (Report.Damaged).
//  5. intents.bin is made to agree with the log; if it was bad it is set aside
//     and written anew. It decides only when the log cannot.
//
// A record that fails its checksum later stops the log and leaves
// orders.db.suspect, so that the next Open checks every byte and sets the file
// aside if the damage is real: never a start loop, never a skipped record.
package bolt
