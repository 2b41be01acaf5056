package broker

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/storage"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.etcd.io/bbolt"
)

// keeper keeps retained messages in a file. (The hook of the library keeps
// sessions too, which costs two syncs for every message of every client.)
type keeper struct {
	mqtt.HookBase
	db     *bbolt.DB
	log    *slog.Logger
	failed chan struct{}
	once   sync.Once
	closed sync.Once
	err    error
}

const bucket = "retained"

func openKeeper(file string, log *slog.Logger) (*keeper, error) {
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: 3 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("cannot open %s; does another broker use it? %w", file, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte(bucket))
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write %s: %w", file, err), db.Close())
	}
	return &keeper{db: db, log: log, failed: make(chan struct{})}, nil
}

func (k *keeper) close() error {
	k.closed.Do(func() { k.err = k.db.Close() })
	return k.err
}

func (k *keeper) ID() string { return "keeper" }

func (k *keeper) Provides(b byte) bool {
	return bytes.Contains([]byte{mqtt.OnRetainMessage, mqtt.OnRetainedExpired, mqtt.StoredRetainedMessages}, []byte{b})
}

// OnRetainMessage implements mqtt.Hook; it runs before the message is
// acknowledged. Writers of one moment share a sync.
func (k *keeper) OnRetainMessage(_ *mqtt.Client, pk packets.Packet, r int64) {
	m := storage.Message{ID: pk.TopicName, T: storage.RetainedKey, FixedHeader: pk.FixedHeader, TopicName: pk.TopicName, Payload: pk.Payload, Created: pk.Created, Origin: pk.Origin}
	data, err := m.MarshalBinary()
	if err == nil {
		err = k.db.Batch(func(tx *bbolt.Tx) error {
			if r == -1 || len(pk.Payload) == 0 {
				return tx.Bucket([]byte(bucket)).Delete([]byte(pk.TopicName))
			}
			return tx.Bucket([]byte(bucket)).Put([]byte(pk.TopicName), data)
		})
	}
	k.check(err)
}

// OnRetainedExpired implements mqtt.Hook.
func (k *keeper) OnRetainedExpired(topic string) {
	k.check(k.db.Batch(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Delete([]byte(topic)) }))
}

func (k *keeper) check(err error) {
	if err != nil && !errors.Is(err, bbolt.ErrDatabaseNotOpen) {
		k.log.Error("cannot keep a retained message; the broker ends", "error", err)
		k.once.Do(func() { close(k.failed) })
	}
}

// StoredRetainedMessages implements mqtt.Hook.
func (k *keeper) StoredRetainedMessages() (all []storage.Message, err error) {
	err = k.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucket)).ForEach(func(topic, data []byte) error {
			var m storage.Message
			if err := m.UnmarshalBinary(data); err != nil {
				return fmt.Errorf("cannot read what was retained at %s: %w", topic, err)
			}
			all = append(all, m)
			return nil
		})
	})
	return all, err
}
