-- Format 4: devices that closets watch, and what closets find.

ALTER TABLE devices ADD COLUMN mac TEXT NOT NULL DEFAULT '';              -- its base address; '': not known
ALTER TABLE devices ADD COLUMN watch_agent TEXT NOT NULL DEFAULT '';      -- who asks it; '': it has an agent of its own
ALTER TABLE devices ADD COLUMN watch_address TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN watch_credential TEXT NOT NULL DEFAULT ''; -- its name in the agent's configuration
ALTER TABLE devices ADD COLUMN watch_firmware TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN watch_location TEXT NOT NULL DEFAULT '';   -- as the device itself says
ALTER TABLE devices ADD COLUMN watch_ports INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN watch_object_id TEXT NOT NULL DEFAULT '';
CREATE INDEX devices_by_serial ON devices (serial) WHERE serial <> '';
CREATE INDEX devices_by_mac ON devices (mac) WHERE mac <> '';

CREATE TABLE proposals (                       -- answers SNMP and is no device of ours
    key          TEXT PRIMARY KEY,             -- by its serial number, else its base address, else where it was found
    facts        TEXT NOT NULL,                -- JSON: what it said last
    first_at     INTEGER NOT NULL,
    last_at      INTEGER NOT NULL,
    dismissed_by TEXT NOT NULL DEFAULT ''      -- a person's login; '': it is proposed
) STRICT, WITHOUT ROWID;
CREATE INDEX proposals_by_time ON proposals (last_at);

CREATE TABLE sightings (                       -- which agent reaches what, and where
    agent      TEXT NOT NULL,
    address    TEXT NOT NULL,
    credential TEXT NOT NULL,
    device     TEXT NOT NULL,                  -- '': it is none of ours
    proposal   TEXT NOT NULL,                  -- the key; '': it is a device
    facts      TEXT NOT NULL,                  -- JSON: what it said there last
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    PRIMARY KEY (agent, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX sightings_of_device ON sightings (device) WHERE device <> '';
CREATE INDEX sightings_of_proposal ON sightings (proposal) WHERE proposal <> '';

CREATE TABLE former_watches (                  -- until when an agent asked a device that another one asks now
    device  TEXT NOT NULL,
    agent   TEXT NOT NULL,
    address TEXT NOT NULL,
    until   INTEGER NOT NULL,
    PRIMARY KEY (device, agent)
) STRICT, WITHOUT ROWID;
