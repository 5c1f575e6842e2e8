-- Format 7: who connected to the block page by a banned name. day: days since 1970. evidence: what the name proves. name: the
-- last one, in words; said: where it stood, sni or host. One row for each client, device, ban and evidence of a day.
CREATE TABLE IF NOT EXISTS connected (
    day      INTEGER NOT NULL,
    client   TEXT NOT NULL,
    device   TEXT NOT NULL,
    site     TEXT NOT NULL,
    ban      TEXT NOT NULL,
    evidence TEXT NOT NULL,
    name     TEXT NOT NULL,
    said     TEXT NOT NULL,
    count    INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    PRIMARY KEY (day, client, device, site, ban, evidence)
) STRICT, WITHOUT ROWID;
