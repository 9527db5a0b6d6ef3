-- Format 3: certificates are renewed, and machines are known again.

ALTER TABLE certificates ADD COLUMN ca TEXT NOT NULL DEFAULT '';       -- SHA-256 of the issuing CA; '': the first
ALTER TABLE certificates ADD COLUMN key TEXT NOT NULL DEFAULT '';      -- SHA-256 of the public key; '': not noted then
ALTER TABLE certificates ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0; -- when it was issued or last renewed by
UPDATE certificates SET used_at = issued_at;
CREATE INDEX certificates_by_end ON certificates (not_after);
CREATE INDEX certificates_by_key ON certificates (key);

CREATE TABLE machines (                        -- what a device's hardware says of itself
    device     TEXT PRIMARY KEY,
    hardware   TEXT NOT NULL,                  -- JSON
    cas        TEXT NOT NULL,                  -- JSON: SHA-256 of each CA that its agent believes
    token      INTEGER,                        -- the enrol token that it came by
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE machine_marks (                   -- the words by which it can be known again
    kind   TEXT NOT NULL,
    value  TEXT NOT NULL,
    device TEXT NOT NULL,
    PRIMARY KEY (kind, value, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX machine_marks_of_device ON machine_marks (device);

CREATE TABLE identity_notes (                  -- what was noticed about which machine a device is
    device   TEXT NOT NULL,
    kind     TEXT NOT NULL,
    detail   TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    times    INTEGER NOT NULL,
    PRIMARY KEY (device, kind, detail)
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_notes_by_time ON identity_notes (last_at);
