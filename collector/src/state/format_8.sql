-- Format 8: what was found when we first looked, what people have planned, and when classes of devices are usually there.

CREATE TABLE listings (                        -- the planning list: faults without a ticket
    device TEXT NOT NULL,
    fault  TEXT NOT NULL,                      -- rule and subject
    body   TEXT NOT NULL,
    PRIMARY KEY (device, fault)
) STRICT, WITHOUT ROWID;

CREATE TABLE plans (                           -- planned changes, those that are over as well
    number  INTEGER PRIMARY KEY,
    ends_at INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT;

CREATE TABLE usual_hours (                     -- when a class of devices is usually on at a building
    site  TEXT NOT NULL,
    class TEXT NOT NULL,
    body  TEXT NOT NULL,
    PRIMARY KEY (site, class)
) STRICT, WITHOUT ROWID;
