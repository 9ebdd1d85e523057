import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import { agentsIn } from '../projects/placement.ts';
import { withdrawSlot } from './withdraw-slot.ts';

/**
 * Withdraws slots of Hetzner projects with more servers than they may have: an order is never refused for
 * what waits, so one that needed a new server may have gone beyond. What is being made goes first. @returns
 * how many
 */
export async function withdrawOverfull(trx: Transaction): Promise<number> {
  const { rows } = await sql<{ slotId: string; status: string }>`
    select slot_id as "slotId", status from (
      select s.slot_id, s.status, p.most_servers, row_number() over (partition by p.name
          order by (s.status = 'making'), s.created_at desc, s.slot_id)
        + ${agentsIn} as nth
      from hetzner_projects p join slots s on s.project = p.name and s.status in ('making', 'ready')
      where p.most_servers is not null) numbered
    where nth > most_servers`.execute(trx);
  let withdrawn = 0;
  for (const slot of rows)
    if (await withdrawSlot(trx, slot, 'orders need its place in the Hetzner project')) withdrawn += 1;
  return withdrawn;
}
