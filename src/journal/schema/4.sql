-- Format 4: presence. Who was there on which day, as sets of numbers of devices, small enough to be kept for years.
CREATE TABLE IF NOT EXISTS sites (
    id   INTEGER PRIMARY KEY,
    site TEXT NOT NULL UNIQUE
) STRICT;

-- Numbers are handed out in blocks of one site each, so that a site is a few ranges of them. named: 1 for devices that
-- leases name, 0 for addresses.
CREATE TABLE IF NOT EXISTS blocks (
    first INTEGER PRIMARY KEY,
    size  INTEGER NOT NULL,
    used  INTEGER NOT NULL,
    site  INTEGER NOT NULL,
    named INTEGER NOT NULL
) STRICT;

-- Devices by number. name: what tells the device best, or the address that stands for it. client: the last address of a
-- device that is named; '' where the name is the address. last_day: days since 1970.
CREATE TABLE IF NOT EXISTS devices (
    id       INTEGER PRIMARY KEY,
    site     INTEGER NOT NULL,
    name     TEXT NOT NULL,
    client   TEXT NOT NULL,
    last_day INTEGER NOT NULL,
    UNIQUE (name, site)
) STRICT;

-- What a set says of the devices in it. what: seen, verified, confirmed, exempt, address (addresses of named devices), active
-- (any query; ban and evidence '').
CREATE TABLE IF NOT EXISTS signs (
    id       INTEGER PRIMARY KEY,
    ban      TEXT NOT NULL,
    evidence TEXT NOT NULL,
    what     TEXT NOT NULL,
    UNIQUE (ban, evidence, what)
) STRICT;

-- The sets of a day, cut into pieces of 65536 numbers (block = number / 65536; numbers in the set without it), in the portable
-- format of Roaring bitmaps.
CREATE TABLE IF NOT EXISTS presence (
    sign  INTEGER NOT NULL,
    block INTEGER NOT NULL,
    day   INTEGER NOT NULL,
    bits  BLOB NOT NULL,
    PRIMARY KEY (sign, block, day)
) STRICT;

-- What a device did on a day. hours, verified_hours: bit 0 is the hour from 00:00 UTC. verified_names: a bit for each name by
-- its hash, so at least as many names as bits.
CREATE TABLE IF NOT EXISTS device_days (
    sign           INTEGER NOT NULL,
    day            INTEGER NOT NULL,
    device         INTEGER NOT NULL,
    count          INTEGER NOT NULL,
    hours          INTEGER NOT NULL,
    verified_hours INTEGER NOT NULL,
    verified_names INTEGER NOT NULL,
    PRIMARY KEY (sign, day, device)
) STRICT, WITHOUT ROWID;

-- The same of months, as 202409, when the days are no longer kept.
CREATE TABLE IF NOT EXISTS device_months (
    sign   INTEGER NOT NULL,
    month  INTEGER NOT NULL,
    device INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    days   INTEGER NOT NULL,
    PRIMARY KEY (sign, month, device)
) STRICT, WITHOUT ROWID;

-- Attempts of devices for which there was no number left.
CREATE TABLE IF NOT EXISTS unnumbered (
    sign  INTEGER NOT NULL,
    day   INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (sign, day)
) STRICT, WITHOUT ROWID;
