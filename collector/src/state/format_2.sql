-- Format 2: what became of the configuration that each agent was sent. Revisions are the 64 bits of the number, signed.

ALTER TABLE devices ADD COLUMN config_revision INTEGER NOT NULL DEFAULT 0;   -- in force; 0: the machine's own file
ALTER TABLE devices ADD COLUMN config_refused INTEGER NOT NULL DEFAULT 0;    -- refused or rolled back
ALTER TABLE devices ADD COLUMN config_why TEXT NOT NULL DEFAULT '';          -- and why
