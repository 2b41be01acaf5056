package main

import (
	"fmt"
	"io"

	"payagent/queue/bolt"
)

// storeHelp says what the figures of the store's disk mean (OBS-05).
func storeHelp() [][3]string {
	return [][3]string{
		{"payagent_store_bytes_written_total", "counter", "Bytes that the order store had written since the start, pages and intents; the disk writes more."},
		{"payagent_store_file_bytes", "gauge", "Size of the file of orders."},
		{"payagent_disk_wear_ratio", "gauge", "How much of the flash's life is used, as the disk tells; missing where it does not."},
	}
}

// writeStoreStats writes them.
func writeStoreStats(store *bolt.Log, dir string, wear func(dir string) int) func(io.Writer) error {
	return func(w io.Writer) error {
		s := store.Stats()
		values := []string{fmt.Sprint(s.PageBytes + s.SlotBytes), fmt.Sprint(s.FileBytes), ""}
		if percent := wear(dir); percent >= 0 {
			values[2] = fmt.Sprint(float64(percent) / 100)
		}
		for i, h := range storeHelp() {
			if values[i] == "" {
				continue
			}
			if _, err := fmt.Fprintf(w, "# HELP %[1]s %[3]s\n# TYPE %[1]s %[2]s\n%[1]s %[4]s\n", h[0], h[1], h[2], values[i]); err != nil {
				return err
			}
		}
		return nil
	}
}
