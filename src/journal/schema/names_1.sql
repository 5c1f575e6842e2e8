-- The record of names asked, a file of its own: it never takes room from the record of attempts, and goes when it is
-- removed. Names and clients are numbers in the rows; used_day (days since 1970) is at least the day of every row that
-- refers to them, so that those of no row any more can go.
CREATE TABLE names (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    used_day INTEGER NOT NULL
) STRICT;
CREATE INDEX names_by_day ON names (used_day);

CREATE TABLE clients (
    id       INTEGER PRIMARY KEY,
    client   TEXT NOT NULL UNIQUE,
    used_day INTEGER NOT NULL
) STRICT;
CREATE INDEX clients_by_day ON clients (used_day);

-- Which client asked which name how often on a day. The key begins with the day, by which rows go.
CREATE TABLE asked (
    day      INTEGER NOT NULL,
    name     INTEGER NOT NULL,
    client   INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    PRIMARY KEY (day, name, client)
) STRICT, WITHOUT ROWID;

-- Queries of a day that there was no room for, in memory or in this file.
CREATE TABLE gaps (
    day     INTEGER PRIMARY KEY,
    queries INTEGER NOT NULL
) STRICT;

-- For people who open the file.
CREATE VIEW asked_in_words AS
SELECT
    date(a.day * 86400, 'unixepoch') AS day,
    c.client AS client,
    n.name AS name,
    a.count AS count,
    strftime('%Y-%m-%dT%H:%M:%fZ', a.last_ms / 1000.0, 'unixepoch') AS last
FROM asked AS a
JOIN names AS n ON n.id = a.name
JOIN clients AS c ON c.id = a.client;
