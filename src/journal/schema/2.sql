-- Format 2: a batch is added at one place of one table, whatever names and clients it holds. Format 1 looked every name
-- and rule up in a table of them; random ones touched a page each.

-- What attempts have in common. transport '': several.
CREATE TABLE IF NOT EXISTS series (
    id        INTEGER PRIMARY KEY,
    ban       TEXT NOT NULL,
    category  TEXT NOT NULL,
    evidence  TEXT NOT NULL,
    site      TEXT NOT NULL,
    action    TEXT NOT NULL,
    transport TEXT NOT NULL,
    verified  INTEGER NOT NULL,
    UNIQUE (ban, category, evidence, site, action, transport, verified)
) STRICT;

-- Banned lookups, folded. minute: since 1970; second: of the minute, when the row began, so that new rows lie side by side
-- at the end. name: in presentation form with RFC 4343 escapes. pattern: text, or how many of the name's last characters.
-- client '', name '', pattern '', qtype -1: several. device '': not known.
CREATE TABLE IF NOT EXISTS attempts_2 (
    minute   INTEGER NOT NULL,
    second   INTEGER NOT NULL,
    client   TEXT NOT NULL,
    series   INTEGER NOT NULL,
    name     TEXT NOT NULL,
    pattern  ANY NOT NULL,
    qtype    INTEGER NOT NULL,
    device   TEXT NOT NULL,
    count    INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    PRIMARY KEY (minute, second, client, series, name, pattern, qtype, device)
) STRICT, WITHOUT ROWID;
