import { sql } from 'kysely';
import type { Labels } from './labels.ts';

/** Returns the changed columns of a renamed or relabelled resource; omitted ones keep their values. */
export function renamed({ name, labels }: { name?: string | undefined; labels?: Labels | undefined }) {
  return { name: sql<string>`coalesce(${name ?? null}, name)`, labels: relabelled(labels) };
}

export function relabelled(labels: Labels | undefined) {
  return sql<string>`coalesce(${labels === undefined ? null : JSON.stringify(labels)}::jsonb, labels)`;
}
