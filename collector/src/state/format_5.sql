-- Format 5: the map.

CREATE TABLE neighborhoods (                   -- what a device knows of others, as it said last
    device TEXT NOT NULL UNIQUE,
    at     INTEGER NOT NULL,
    body   BLOB NOT NULL                       -- the wire's Neighborhood; of addresses that nobody manages there is but a number
) STRICT;

CREATE TABLE wire_macs (                       -- the own addresses of devices and of their gateways
    mac    TEXT NOT NULL,
    device TEXT NOT NULL,                      -- who said so
    PRIMARY KEY (mac, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX wire_macs_of_device ON wire_macs (device);

CREATE TABLE links (                           -- a person says where a device hangs
    device TEXT PRIMARY KEY,
    switch TEXT NOT NULL,
    port   TEXT NOT NULL,
    actor  TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE attachments (                     -- where devices hang and hung
    device  TEXT NOT NULL,
    since   INTEGER NOT NULL,
    until   INTEGER,                           -- NULL: still
    switch  TEXT NOT NULL,                     -- '': not known
    port    TEXT NOT NULL,
    body    TEXT NOT NULL,                     -- JSON: the whole attachment
    gone_at INTEGER,                           -- since when it is not seen there any more, nor elsewhere; NULL: it is
    PRIMARY KEY (device, since)
) STRICT, WITHOUT ROWID;
CREATE INDEX attachments_on_switch ON attachments (switch) WHERE until IS NULL;

CREATE TABLE map (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    drawn_at INTEGER NOT NULL,
    stale    INTEGER NOT NULL,                 -- something was said since
    body     TEXT NOT NULL                     -- JSON: what is no attachment
) STRICT;
INSERT INTO map VALUES (1, 0, 1, '{}');
