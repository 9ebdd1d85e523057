import type { Defaulted, DefaultTimestamp, Timestamp } from './column-types.ts';

export interface AdoptionTables {
  adoptions: AdoptionTable;
}

/** A server that was made by hand, and the agent that adopts it. */
export interface AdoptionTable {
  agent_id: string;
  project: string;
  server_id: string;
  /** `pending`: the server is its owner's; `adopted`: it is the agent's; `given-back`: it never was. */
  status: Defaulted<'pending' | 'adopted' | 'given-back'>;
  begun_at: DefaultTimestamp;
  ended_at: Timestamp | null;
}
