-- Names asked for, in presentation form with RFC 4343 escapes. used_hour (hours since 1970) is at least the hour of every
-- row that refers to the name, so that names older than the oldest row can go.
CREATE TABLE names (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    used_hour INTEGER NOT NULL
) STRICT;
CREATE INDEX names_by_hour ON names (used_hour);

-- Rules as they stood in force. pattern '' is: several rules.
CREATE TABLE rules (
    id       INTEGER PRIMARY KEY,
    ban      TEXT NOT NULL,
    category TEXT NOT NULL,
    evidence TEXT NOT NULL,
    pattern  TEXT NOT NULL,
    UNIQUE (ban, category, evidence, pattern)
) STRICT;

-- Banned lookups, folded. minute: since 1970. client '', name 0, qtype -1, transport '': several. device '': not known.
-- The key begins with the minute, so that rows lie in the order in which they come and go.
CREATE TABLE attempts (
    minute    INTEGER NOT NULL,
    client    TEXT NOT NULL,
    rule      INTEGER NOT NULL,
    name      INTEGER NOT NULL,
    qtype     INTEGER NOT NULL,
    action    TEXT NOT NULL,
    transport TEXT NOT NULL,
    verified  INTEGER NOT NULL,
    device    TEXT NOT NULL,
    site      TEXT NOT NULL,
    count     INTEGER NOT NULL,
    first_ms  INTEGER NOT NULL,
    last_ms   INTEGER NOT NULL,
    PRIMARY KEY (minute, client, rule, name, qtype, action, transport, verified, device, site)
) STRICT, WITHOUT ROWID;

-- Who tried what since when.
CREATE TABLE clients (
    ban           TEXT NOT NULL,
    evidence      TEXT NOT NULL,
    client        TEXT NOT NULL,
    device        TEXT NOT NULL,
    site          TEXT NOT NULL,
    count         INTEGER NOT NULL,
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms  INTEGER NOT NULL,
    PRIMARY KEY (ban, evidence, client, device, site)
) STRICT, WITHOUT ROWID;

-- The last batch that each run of a server has committed: a batch whose commit was answered by an error, and that is
-- there nevertheless, is not added twice.
CREATE TABLE batches (
    run  INTEGER PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;

-- For people who open the file: the attempts with names, rules and times in words.
CREATE VIEW attempts_in_words AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%fZ', a.first_ms / 1000.0, 'unixepoch') AS first,
    strftime('%Y-%m-%dT%H:%M:%fZ', a.last_ms / 1000.0, 'unixepoch') AS last,
    nullif(a.client, '') AS client,
    nullif(a.device, '') AS device,
    a.site AS site,
    n.name AS qname,
    nullif(a.qtype, -1) AS qtype,
    r.ban AS ban,
    r.category AS category,
    r.evidence AS evidence,
    nullif(r.pattern, '') AS pattern,
    a.action AS action,
    nullif(a.transport, '') AS transport,
    a.verified AS verified,
    a.count AS count
FROM attempts AS a
JOIN rules AS r ON r.id = a.rule
LEFT JOIN names AS n ON n.id = a.name;
