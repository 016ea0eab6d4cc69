/** The PostgreSQL schema, as the migrations that make it. A released one is never edited: its checksum is kept in every database. */
import type { Migration } from '../migrate.ts';

/** All that is ours lives in it, so that a database may be shared with other programs. */
export const SCHEMA = 'caravanserai';

const INITIAL = `
-- head is one row: where the versions are. Whoever writes changes it first and so has the word until its transaction ends: versions are
-- given in the order of commits. (A sequence hands out numbers before the commit, and who reads in order would skip what commits late.)
CREATE TABLE caravanserai.head
(
    id        boolean PRIMARY KEY DEFAULT true CHECK (id),
    -- version is that of the newest change, commit_id that change's: who writes names both, so that two histories are told apart.
    version   bigint  NOT NULL,
    commit_id text    NOT NULL
) WITH (fillfactor = 50);
INSERT INTO caravanserai.head (version, commit_id) VALUES (0, '');

-- objects holds the current state of every object; all servers have it in memory too.
CREATE TABLE caravanserai.objects
(
    -- kind is the object's kind, e.g. 'Node'; also of kinds that users do not see, e.g. tombstones.
    kind     text COLLATE "C" NOT NULL,
    -- name is metadata.name, unique per kind.
    name     text COLLATE "C" NOT NULL,
    -- uid is metadata.uid, unique over all objects and all time.
    uid      text             NOT NULL,
    -- version is metadata.resourceVersion as a number: that of the change that wrote this state.
    version  bigint           NOT NULL,
    -- document is the whole object, exactly as the server wrote it; its shape is the kind's schema in src/api.
    document json             NOT NULL,
    PRIMARY KEY (kind, name)
);

-- changes holds the last changes, oldest dropped first: what the other servers read, and watchers go on from after a restart.
CREATE TABLE caravanserai.changes
(
    -- version numbers all changes, of whatever kind: 1, 2, 3, ... A gap says that the database lost some, see postgres-store.ts.
    version   bigint PRIMARY KEY,
    -- kind and name say which object changed. It may be gone by now, so this is no foreign key.
    kind      text   NOT NULL,
    name      text   NOT NULL,
    -- type says what happened to it.
    type      text   NOT NULL CHECK (type IN ('ADDED', 'MODIFIED', 'DELETED')),
    -- document is the whole object after the change; of a DELETED one its last state under the deletion's resourceVersion.
    document  json   NOT NULL,
    -- commit_id names the commit: a server that lost its connection amid one looks here whether it was done.
    commit_id text   NOT NULL
);

-- servers says which servers there are. Unlogged: it is written every few seconds, and nothing is lost with it.
CREATE UNLOGGED TABLE caravanserai.servers
(
    -- id is made by each process at its start.
    id         text        PRIMARY KEY,
    -- name is how people call it, url where the others reach it.
    name       text        NOT NULL,
    url        text        NOT NULL,
    version    text        NOT NULL,
    started_at timestamptz NOT NULL,
    -- seen_at is when it last said that it is there, by the database's clock.
    seen_at    timestamptz NOT NULL
);
`;

export const MIGRATIONS: readonly Migration[] = [{ id: 1, name: 'head, objects, changes and servers', sql: INITIAL }];
