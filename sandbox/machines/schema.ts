import type { SandboxSchema } from '../database.ts';

/** The tables of the machines behind the servers; to be handed to `openSandboxDatabase`. */
export const machinesSchema: SandboxSchema = {
  area: 'machines',
  version: 1,
  statements: [
    // One machine a server: a rebuilt one, of a later generation, takes the place of the earlier.
    `CREATE TABLE IF NOT EXISTS machines (
      server_id int PRIMARY KEY,
      generation int NOT NULL,
      hostname text NOT NULL,
      tailnet_ip text,
      joined_at timestamptz,
      refused_reason text,
      booted_at timestamptz NOT NULL
    )`,
    'CREATE INDEX IF NOT EXISTS machines_tailnet_ip ON machines (tailnet_ip)',
  ],
};
