-- What boxes say is kept as they wrote it: jsonb refuses some texts that JSON
-- allows (\u0000, half a surrogate pair), and with them everything that was
-- written in the same batch.
ALTER TABLE events ALTER COLUMN data TYPE json;
ALTER TABLE orders ALTER COLUMN facts TYPE json;
