package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"payagent/queue"
)

func TestInspect(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	look := func() (Inspection, error) { return Inspect(dir, 1, 1<<20) }
	if i, err := look(); err != nil || i.Bytes != -1 || i.InUse {
		t.Error(i, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("looking made the folder")
	}
	l, _, err := Open(dir, Options{Writer: 1})
	if err != nil {
		t.Fatal(err)
	}
	if i, err := look(); err != nil || !i.InUse {
		t.Error(i, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	if i, err := look(); err != nil || i.InUse || i.Bytes <= 0 || len(i.Aside) != 0 {
		t.Error(i, err)
	}
	if after := files(t, dir); after != before {
		t.Errorf("looking changed %s to %s", before, after)
	}
	db := filepath.Join(dir, dbName)
	good, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(db, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := look(); !errors.Is(err, queue.ErrDamaged) {
		t.Error(err)
	}
	if err := os.Remove(db); err != nil {
		t.Fatal(err)
	}
	if _, err := look(); !errors.Is(err, queue.ErrDamaged) {
		t.Error("a lost file beside slots:", err)
	}
	if err := errors.Join(os.WriteFile(db, good, 0o600), os.WriteFile(db+".damaged-20260101T000000Z", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if i, err := look(); err != nil || len(i.Aside) != 1 {
		t.Error(i, err)
	}
	// A start with the files as they are now works, too.
	if l, _, err = Open(dir, Options{Writer: 1}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func files(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, e := range list {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all += e.Name() + ":" + string(data) + ";"
	}
	return all
}
