-- What payfleet hub keeps. Read as you like; only the hub writes. Sums are in
-- fen. Nothing here names a patient: sealed is readable with the hub's key only.
CREATE TABLE streams (
  site text NOT NULL, box text NOT NULL, stream text NOT NULL,
  epoch text NOT NULL,                 -- one store of one box
  seq bigint NOT NULL,                 -- everything of it up to here is in events
  last_at timestamptz NOT NULL,        -- the newest event
  until_at timestamptz NOT NULL,       -- the box said that nothing waited then
  PRIMARY KEY (site, box, stream)
);
CREATE TABLE holes (
  site text NOT NULL, box text NOT NULL, stream text NOT NULL, epoch text NOT NULL,
  from_seq bigint NOT NULL, to_seq bigint NOT NULL,
  after_at timestamptz NOT NULL, before_at timestamptz NOT NULL,
  reason text NOT NULL,                -- pruned, new_store
  PRIMARY KEY (site, box, stream, epoch, from_seq, reason)
);
CREATE TABLE events (
  site text NOT NULL, box text NOT NULL, stream text NOT NULL, epoch text NOT NULL, seq bigint NOT NULL,
  type text NOT NULL, subject text NOT NULL, at timestamptz NOT NULL, data jsonb,
  PRIMARY KEY (site, box, stream, epoch, seq)
);
CREATE INDEX events_at ON events (at);
CREATE TABLE orders (
  site text NOT NULL, box text NOT NULL, out_trade_no text NOT NULL,
  state text NOT NULL, booking text NOT NULL,
  till text NOT NULL, platform text NOT NULL, merchant text NOT NULL, channel text NOT NULL, order_type text NOT NULL, cost_type text NOT NULL,
  trade_no text NOT NULL,
  amount_fen bigint NOT NULL, refunded_fen bigint NOT NULL,
  created_at timestamptz, paid_at timestamptz, ended_at timestamptz,
  days text[] NOT NULL,                -- the days (UTC+8) that something happened on
  changed_at timestamptz NOT NULL,
  epoch text NOT NULL, seq bigint NOT NULL, rev bigint NOT NULL,
  facts jsonb NOT NULL,                -- docs/mqtt.md, the order of an event
  sealed text NOT NULL, sealed_in text NOT NULL,
  PRIMARY KEY (site, box, out_trade_no)
);
CREATE INDEX orders_number ON orders (out_trade_no);
CREATE INDEX orders_days ON orders USING gin (days);
CREATE INDEX orders_changed ON orders (changed_at);
CREATE TABLE bookings (
  site text NOT NULL, box text NOT NULL, out_trade_no text NOT NULL, line int NOT NULL,
  his_flow_id text NOT NULL, refund_no text NOT NULL,
  amount_fen bigint NOT NULL,          -- negative: given back
  booked_at timestamptz,
  PRIMARY KEY (site, box, out_trade_no, line),
  FOREIGN KEY (site, box, out_trade_no) REFERENCES orders ON DELETE CASCADE
);
CREATE INDEX bookings_at ON bookings (booked_at);
CREATE TABLE refunds (
  site text NOT NULL, box text NOT NULL, out_trade_no text NOT NULL, line int NOT NULL,
  refund_no text NOT NULL, amount_fen bigint NOT NULL, state text NOT NULL, auto boolean NOT NULL, via text NOT NULL,
  requested_at timestamptz, ended_at timestamptz,
  PRIMARY KEY (site, box, out_trade_no, line),
  FOREIGN KEY (site, box, out_trade_no) REFERENCES orders ON DELETE CASCADE
);
