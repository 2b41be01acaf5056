package mem_test

import (
	"testing"

	"payagent/queue"
	"payagent/queue/mem"
	"payagent/queue/queuetest"
)

func TestMem(t *testing.T) {
	disks := map[string]*mem.Disk{}
	at := func(dir string) *mem.Disk {
		if disks[dir] == nil {
			disks[dir] = new(mem.Disk)
		}
		return disks[dir]
	}
	queuetest.Test(t,
		func(t *testing.T, dir string) queue.Log { return mem.Open(at(dir)) },
		queuetest.WithCrash(func(from, to string) error { disks[to] = at(from).Copy(); return nil }))
}
