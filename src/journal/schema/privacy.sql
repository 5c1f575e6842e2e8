-- Of privacy. Added to a store of any format: whoever does not know these tables does not miss them.

-- How much of the clients of a site is recorded, since when. level: full, hashed (clients and devices by pseudonyms), counts.
CREATE TABLE IF NOT EXISTS levels (
    site    TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    level   TEXT NOT NULL,
    PRIMARY KEY (site, from_ms)
) STRICT, WITHOUT ROWID;

-- What was erased because somebody asked for it: how much of how many devices, never of whom.
CREATE TABLE IF NOT EXISTS erasures (
    id        INTEGER PRIMARY KEY,
    erased_ms INTEGER NOT NULL,
    devices   INTEGER NOT NULL,
    attempts  INTEGER NOT NULL
) STRICT;
