-- What was read of logs of others. Added to a store by the first scan, beside the tables of any format: whoever does not know
-- them does not miss them.

-- A log by its content, unpacked, whatever it is called: the first octets of it and their SHA-256, and how much of it has been
-- read with the SHA-256 of that. name: as it was called the last time. queries, rejects: so far. first_ms, last_ms: what time
-- its queries are of.
CREATE TABLE IF NOT EXISTS scans (
    id         INTEGER PRIMARY KEY,
    head_size  INTEGER NOT NULL,
    head       BLOB NOT NULL,
    size       INTEGER NOT NULL,
    digest     BLOB NOT NULL,
    format     TEXT NOT NULL,
    name       TEXT NOT NULL,
    scanned_ms INTEGER NOT NULL,
    queries    INTEGER NOT NULL,
    rejects    INTEGER NOT NULL,
    first_ms   INTEGER,
    last_ms    INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS scans_by_head ON scans (head, head_size);

-- How much of it was read for which ban: one that is new is looked for from the beginning.
CREATE TABLE IF NOT EXISTS scanned_bans (
    scan INTEGER NOT NULL,
    ban  TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (scan, ban)
) STRICT, WITHOUT ROWID;
