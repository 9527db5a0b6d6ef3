-- Format 9: who looks after what, how tickets are handled, and a history that nobody can change.

CREATE TABLE responsibilities (                -- one row: what was recorded last
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    at   INTEGER NOT NULL,
    body BLOB NOT NULL                         -- the record's ResponsibilitiesSet
) STRICT;

ALTER TABLE tickets ADD COLUMN priority TEXT NOT NULL DEFAULT 'P3';
ALTER TABLE tickets ADD COLUMN owner    TEXT NOT NULL DEFAULT '';  -- who is responsible
ALTER TABLE tickets ADD COLUMN assignee TEXT NOT NULL DEFAULT '';  -- who has taken it
ALTER TABLE tickets ADD COLUMN due      INTEGER;                   -- when a clock of it will be up
UPDATE tickets SET assignee = ifnull(body ->> '$.assignee', '');

CREATE TRIGGER ticket_events_stay BEFORE DELETE ON ticket_events
BEGIN SELECT RAISE(ABORT, 'the history of a ticket is only ever added to'); END;
CREATE TRIGGER ticket_events_stand BEFORE UPDATE ON ticket_events
BEGIN SELECT RAISE(ABORT, 'the history of a ticket is only ever added to'); END;
