-- Format 10: tickets about several devices, beneath others, and put off.

ALTER TABLE tickets ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;  -- 0: to be done; 1: put off; 2: beneath another
ALTER TABLE tickets ADD COLUMN under INTEGER;                    -- that other one

CREATE TABLE ticket_devices (                  -- the devices of tickets about more than one
    ticket INTEGER NOT NULL,
    device TEXT NOT NULL,
    site   TEXT NOT NULL,
    PRIMARY KEY (ticket, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_with_device ON ticket_devices (device);
CREATE INDEX tickets_beneath ON tickets (under) WHERE under IS NOT NULL;
