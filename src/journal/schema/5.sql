-- Format 5: how it is known who held an address, and whether its times are not as they were said, since clocks did not agree.
ALTER TABLE bindings ADD COLUMN method TEXT NOT NULL DEFAULT 'lease';
ALTER TABLE bindings ADD COLUMN estimated INTEGER NOT NULL DEFAULT 0;
