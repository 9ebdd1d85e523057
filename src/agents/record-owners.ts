import { sql } from 'kysely';
import { KEPT_STATUSES } from './states.ts';

/** Whose record is kept at Hetzner: `id`, and when its row changed. */
export const RECORD_OWNERS = sql`(
  select agent_id as id, updated_at from agents
  where status = any(${[...KEPT_STATUSES]}::text[]) and inputs is not null and secrets is not null
  union all select slot_id, updated_at from slots where status = 'ready')`;
