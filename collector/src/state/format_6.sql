-- Format 6: school calendars.

CREATE TABLE calendars (                       -- a building's calendar as it was recorded last
    site TEXT PRIMARY KEY,                     -- '': all buildings that have none of their own
    at   INTEGER NOT NULL,
    body BLOB NOT NULL                         -- the record's CalendarSet
) STRICT, WITHOUT ROWID;

CREATE TABLE day_changes (                     -- what people said of single days: only ever added to, the last word counts
    id      INTEGER PRIMARY KEY,
    site    TEXT NOT NULL,
    date    INTEGER NOT NULL,                  -- days since 1970-01-01
    closed  INTEGER NOT NULL,
    late_ms INTEGER NOT NULL,                  -- 0 and not closed: taken back
    actor   TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX day_changes_of_site ON day_changes (site, date, id);
