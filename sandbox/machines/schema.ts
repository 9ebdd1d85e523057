import type { ColumnType } from 'kysely';
import type { SandboxSchema } from '../schema.ts';

export interface MachinesTables {
  machines: MachineTable;
}

export interface MachineTable {
  server_id: number;
  generation: number;
  hostname: string;
  tailnet_ip: string | null;
  joined_at: Date | null;
  refused_reason: string | null;
  booted_at: Date;
  /** The agent that the machine was given to after it was configured. */
  tenant: ColumnType<string | null, string | null | undefined>;
}

/** The tables of the machines behind the servers, for `openSandboxDatabase`. */
export const machinesSchema: SandboxSchema = {
  area: 'machines',
  version: 2,
  statements: [
    // One machine per server: a rebuilt one, with a later generation, replaces the earlier.
    `create table if not exists machines (
      server_id int primary key,
      generation int not null,
      hostname text not null,
      tailnet_ip text,
      joined_at timestamptz,
      refused_reason text,
      booted_at timestamptz not null
    )`,
    'alter table machines add column if not exists tenant text',
    'create index if not exists machines_tailnet_ip on machines (tailnet_ip)',
  ],
};
