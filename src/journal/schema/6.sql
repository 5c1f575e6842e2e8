-- Format 6: of which time anything is on record. from_ms, until_ms: milliseconds since 1970, within one hour. queries: messages
-- received; active: devices that asked for anything; lost: attempts that are not in the record; unnoted: queries of clients
-- that could not be noted as active.
CREATE TABLE IF NOT EXISTS windows (
    from_ms  INTEGER PRIMARY KEY,
    until_ms INTEGER NOT NULL,
    queries  INTEGER NOT NULL,
    active   INTEGER NOT NULL,
    lost     INTEGER NOT NULL,
    unnoted  INTEGER NOT NULL
) STRICT;
