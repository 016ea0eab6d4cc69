/** The SQLite schema, as the migrations that make it. A released one is never edited: its checksum is kept in every database. */
import type { Migration } from '../migrate.ts';

const INITIAL = `
-- objects holds the current state of every object: the durable copy of what the server keeps in memory.
CREATE TABLE objects
(
    -- kind is the object's kind, e.g. 'Node'; also of kinds that users do not see, e.g. tombstones.
    kind     TEXT    NOT NULL,
    -- name is metadata.name, unique per kind.
    name     TEXT    NOT NULL,
    -- uid is metadata.uid, unique over all objects and all time.
    uid      TEXT    NOT NULL,
    -- version is metadata.resourceVersion as a number: that of the change that wrote this state.
    version  INTEGER NOT NULL,
    -- document is the whole object as JSON; its shape is the kind's schema in src/api.
    document TEXT    NOT NULL CHECK (json_valid(document)),
    PRIMARY KEY (kind, name)
) STRICT;

-- changes holds the last changes, oldest dropped first, so that watchers can go on after a restart of the server.
-- Its newest row is never dropped: it is where the version counter goes on from.
CREATE TABLE changes
(
    -- version numbers all changes, of whatever kind: 1, 2, 3, ... without a gap, never used twice.
    version  INTEGER NOT NULL PRIMARY KEY,
    -- kind and name say which object changed. It may be gone by now, so this is no foreign key.
    kind     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    -- type says what happened to it.
    type     TEXT    NOT NULL CHECK (type IN ('ADDED', 'MODIFIED', 'DELETED')),
    -- document is the whole object after the change; of a DELETED one its last state under the deletion's resourceVersion.
    document TEXT    NOT NULL CHECK (json_valid(document))
) STRICT;
`;

export const MIGRATIONS: readonly Migration[] = [{ id: 1, name: 'objects and changes', sql: INITIAL }];
