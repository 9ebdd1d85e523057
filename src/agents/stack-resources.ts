import { sql } from 'kysely';
import { z } from 'zod';
import type { Database, Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import type { OperationKind } from '../database/vocabulary.ts';
import {
  LONGEST_PROPERTY,
  LONGEST_VALUE,
  MOST_DRIFT,
  MOST_RESOURCES,
} from '../pulumi/engine/found-resources.ts';
import type { FoundResource } from '../pulumi/engine/messages.ts';

const property = z.string().max(LONGEST_PROPERTY);
const value = z.string().max(LONGEST_VALUE).nullable();

/** What an engine run found of an agent's stack. Bounded, because a runner sends it. */
export const foundResourcesSchema = z.object({
  verb: z.enum(['up', 'refresh', 'destroy']),
  resources: z
    .array(
      z.object({
        name: property,
        type: property,
        id: property.nullable(),
        isGone: z.boolean(),
        drift: z.array(z.object({ property, before: value, now: value })).max(MOST_DRIFT),
      }),
    )
    .max(MOST_RESOURCES),
});
export type FoundResources = z.infer<typeof foundResourcesSchema>;

/** The resources of an agent's stack, as the last engine run found them. */
export interface StackResources {
  resources: readonly FoundResource[];
  /** `up` has mended what differed; `refresh` says what did. */
  verb: FoundResources['verb'];
  operationId: string;
  /** The operation's kind: other kinds than a refresh have changed what differs themselves. */
  kind: OperationKind;
  at: Date;
}

/** Replaces what was recorded before. The caller holds the attempt's claim. */
export async function recordResources(
  trx: Transaction,
  of: { agentId: string; operationId: string },
  { verb, resources }: FoundResources,
): Promise<void> {
  const row = { operation_id: of.operationId, verb, resources: jsonText(resources), at: sql<Date>`now()` };
  await trx
    .insertInto('stack_resources')
    .values({ agent_id: of.agentId, ...row })
    .onConflict((conflict) => conflict.column('agent_id').doUpdateSet(row))
    .execute();
}

/** Returns undefined if no run has recorded any. */
export async function readResources(
  database: Database,
  agentId: string,
): Promise<StackResources | undefined> {
  const row = await database
    .selectFrom('stack_resources as s')
    .innerJoin('operations as o', 'o.operation_id', 's.operation_id')
    .select(['s.resources', 's.verb', 's.operation_id as operationId', 's.at', 'o.kind'])
    .where('s.agent_id', '=', agentId)
    .executeTakeFirst();
  return row === undefined ? undefined : { ...row, resources: row.resources as unknown as FoundResource[] };
}
