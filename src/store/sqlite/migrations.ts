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

const CHANGES_REFER = `
-- Most changes are to an object that nothing else has changed since: then the document is in objects, once, and written once.
CREATE TABLE new_objects
(
    kind     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    uid      TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    -- document is the whole object as JSON. No json_valid here: nobody but us writes, and it cost a tenth of each write.
    document TEXT    NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;
INSERT INTO new_objects SELECT kind, name, uid, version, document FROM objects;

CREATE TABLE new_changes
(
    version  INTEGER NOT NULL PRIMARY KEY,
    kind     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    type     TEXT    NOT NULL CHECK (type IN ('ADDED', 'MODIFIED', 'DELETED'))
) STRICT;
INSERT INTO new_changes SELECT version, kind, name, type FROM changes;

-- superseded holds the documents of changes that are no longer the newest of their object: the state that this one wrote, or, of a
-- DELETED one, the last state under the deletion's resourceVersion. Dropped together with their changes.
CREATE TABLE superseded
(
    version  INTEGER NOT NULL PRIMARY KEY,
    document TEXT    NOT NULL
) STRICT;
INSERT INTO superseded
SELECT version, document FROM changes
WHERE NOT EXISTS (SELECT 1 FROM objects WHERE objects.kind = changes.kind AND objects.name = changes.name AND objects.version = changes.version);

DROP TABLE changes;
DROP TABLE objects;
ALTER TABLE new_objects RENAME TO objects;
ALTER TABLE new_changes RENAME TO changes;
`;

export const MIGRATIONS: readonly Migration[] = [
  { id: 1, name: 'objects and changes', sql: INITIAL },
  { id: 2, name: 'changes refer to objects', sql: CHANGES_REFER },
];
