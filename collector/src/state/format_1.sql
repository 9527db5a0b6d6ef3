-- Format 1 of state.sqlite. Times are milliseconds since 1970 in UTC; words are those of the code.

CREATE TABLE people (
    id            INTEGER PRIMARY KEY,
    login         TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password      TEXT NOT NULL,               -- argon2id, as a PHC string
    role          TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    last_login_at INTEGER
) STRICT;

CREATE TABLE first_logins (
    hash       BLOB PRIMARY KEY,               -- SHA-256 of the link's secret
    role       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    hash       BLOB PRIMARY KEY,               -- SHA-256 of the cookie's secret
    person     INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_person ON sessions (person, created_at);

CREATE TABLE enrol_tokens (
    id         INTEGER PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE,           -- SHA-256 of the token's secret
    site       TEXT NOT NULL,
    room       TEXT NOT NULL,
    class      TEXT,                           -- NULL: as the machine says
    uses       INTEGER NOT NULL,
    uses_left  INTEGER NOT NULL CHECK (uses_left >= 0),
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_tokens (
    id           INTEGER PRIMARY KEY,
    hash         BLOB NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,                      -- NULL: until it is deleted
    last_used_at INTEGER
) STRICT;

CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,               -- lower-case hexadecimal
    device     TEXT NOT NULL,
    issued_at  INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_of_device ON certificates (device);

CREATE TABLE devices (
    id             TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    kind           TEXT NOT NULL,
    class          TEXT NOT NULL,
    state          TEXT NOT NULL,
    site           TEXT NOT NULL,
    room           TEXT NOT NULL,
    vendor         TEXT NOT NULL,
    model          TEXT NOT NULL,
    serial         TEXT NOT NULL,
    enrolled_at    INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    agent_version  TEXT NOT NULL DEFAULT '',
    interval_s     INTEGER NOT NULL DEFAULT 0,
    presence       TEXT NOT NULL DEFAULT 'never',
    presence_since INTEGER NOT NULL,
    last_seen_at   INTEGER,
    clock_offset_ms INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_by_site ON devices (site, room, name);

CREATE TABLE tickets (
    number     INTEGER PRIMARY KEY,
    device     TEXT NOT NULL,
    site       TEXT NOT NULL,
    state      TEXT NOT NULL,
    severity   TEXT NOT NULL,
    opened_at  INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    ended_at   INTEGER,
    body       TEXT NOT NULL                   -- JSON: the whole ticket; the columns are what is asked by
) STRICT;
CREATE INDEX tickets_by_end ON tickets (ended_at, opened_at);
CREATE INDEX tickets_of_device ON tickets (device, opened_at);

CREATE TABLE ticket_events (
    ticket   INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    body     TEXT NOT NULL,                    -- JSON: the whole event
    PRIMARY KEY (ticket, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE standings (                       -- how the deciders see a device
    device TEXT PRIMARY KEY,
    body   TEXT NOT NULL                       -- JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
    device          TEXT NOT NULL,
    generation      INTEGER NOT NULL,          -- the 64 bits of the number, signed
    ranges          TEXT NOT NULL,             -- JSON: [[first, last], ...]
    clock_offset_ms INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (device, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursors (
    reader   TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE engine (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    snapshot BLOB NOT NULL,
    position INTEGER NOT NULL
) STRICT;
