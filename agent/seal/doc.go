// Package seal keeps what must not be read: it encrypts patient data under
// keys that are thrown away in time, makes keyed hashes of codes and bodies,
// and makes order numbers that cannot collide or be guessed.
//
// A key belongs to one day (fixed UTC+8, the day the order was made) and one
// retention class, and lies in a file of its own. Forgetting is deleting that
// file: what was sealed with it stays in the order log and in every copy of it
// as noise (decision 14). Nothing here knows what the data means.
package seal
