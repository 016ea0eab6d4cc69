/** Internal kind: what agents run on with after a restore though the restored state does not know it. Nothing of it outlives another restore. */
export const HELD_KIND = 'HeldProject';
