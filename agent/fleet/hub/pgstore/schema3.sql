-- Events that the hub of then could not read, as they came.
CREATE TABLE quarantine (
  site text NOT NULL, box text NOT NULL, stream text NOT NULL, epoch text NOT NULL, seq bigint NOT NULL,
  at timestamptz NOT NULL, received_at timestamptz NOT NULL, why text NOT NULL, raw bytea NOT NULL,
  PRIMARY KEY (site, box, stream, epoch, seq)
);
