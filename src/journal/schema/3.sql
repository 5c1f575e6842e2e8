-- Format 3: who held which address when. from_ms, until_ms: milliseconds since 1970; until_ms NULL: without end.
-- identifiers: the strongest first, with spaces between.
CREATE TABLE IF NOT EXISTS bindings (
    client      TEXT NOT NULL,
    from_ms     INTEGER NOT NULL,
    until_ms    INTEGER,
    identifiers TEXT NOT NULL,
    PRIMARY KEY (client, from_ms)
) STRICT, WITHOUT ROWID;
