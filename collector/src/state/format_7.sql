-- Format 7: the life of devices.

CREATE TABLE life_facts (                      -- what is known of devices and models
    kind  TEXT NOT NULL,                       -- 'device' or 'model'
    key   TEXT NOT NULL,                       -- the device's id, or the model in lower case
    name  TEXT NOT NULL,                       -- the model as it was written; '' of a device
    at    INTEGER NOT NULL,
    actor TEXT NOT NULL,
    source TEXT NOT NULL,                      -- the file that it came from; '' if it was typed
    body  TEXT NOT NULL,                       -- JSON
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE life_table (                      -- what is assumed, as it was recorded last
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    at   INTEGER NOT NULL,
    body BLOB NOT NULL                         -- the record's LifeTableSet
) STRICT;

CREATE TABLE life_told (                       -- what devices tell of themselves that bears on their life
    device TEXT PRIMARY KEY,
    body   TEXT NOT NULL                       -- JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE life_inbox (                      -- imported by a command; the running collector makes records of it
    id   INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    body BLOB NOT NULL                         -- a record's LifeFactsSet
) STRICT;
