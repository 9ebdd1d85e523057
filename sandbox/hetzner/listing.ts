import type pg from 'pg';
import { z } from 'zod';
import type { Queryable } from '../database.ts';
import { invalidField } from './errors.ts';
import { listParameter } from './input.ts';
import { parseLabelSelector, selectorConditions } from './label-selector.ts';

const positive = z.coerce.number().int().min(1);

/** Query parameters that every list call takes. More than 50 a page is 50, as with Hetzner. */
export const listQuery = z.object({
  page: positive.default(1),
  per_page: positive.default(25).transform((perPage) => Math.min(perPage, 50)),
  sort: listParameter,
  name: z.string().optional(),
  label_selector: z.string().optional(),
});

export type ListQuery = z.infer<typeof listQuery>;

/** SQL conditions and their values, gathered piece by piece. */
export type Conditions = { clauses: string[]; values: unknown[]; bind(value: unknown): string };

export function createConditions(...clauses: string[]): Conditions {
  const values: unknown[] = [];
  return {
    clauses,
    values,
    bind(value) {
      values.push(value);
      return `$${values.length}`;
    },
  };
}

/** Adds what the query's `name` and `label_selector` ask for. */
export function addNameAndLabels(conditions: Conditions, query: ListQuery): void {
  if (query.name !== undefined) conditions.clauses.push(`name = ${conditions.bind(query.name)}`);
  if (query.label_selector !== undefined)
    conditions.clauses.push(
      ...selectorConditions(parseLabelSelector(query.label_selector), 'labels', conditions.bind),
    );
}

export type Page<T> = { rows: T[]; total: number };

/** One page of a table's rows. `sortable` maps Hetzner's names of sort keys to columns. */
export async function selectPage<Row extends pg.QueryResultRow>(
  db: Queryable,
  source: { table: string; conditions: Conditions; sortable: Record<string, string> },
  query: Pick<ListQuery, 'page' | 'per_page' | 'sort'>,
): Promise<Page<Row>> {
  const { table, conditions, sortable } = source;
  const where = conditions.clauses.length === 0 ? '' : `WHERE ${conditions.clauses.join(' AND ')}`;
  const order = orderBy(query.sort, sortable);
  const offset = (query.page - 1) * query.per_page;
  const count = await db.query<{ total: number }>(
    `SELECT count(*)::int AS total FROM ${table} ${where}`,
    conditions.values,
  );
  const rows = await db.query<Row>(
    `SELECT * FROM ${table} ${where} ORDER BY ${order} LIMIT ${query.per_page} OFFSET ${offset}`,
    conditions.values,
  );
  return { rows: rows.rows, total: count.rows[0]!.total };
}

function orderBy(sort: string[], sortable: Record<string, string>): string {
  const terms = sort.map((term) => {
    const [key = '', direction = 'asc'] = term.split(':');
    const column = Object.hasOwn(sortable, key) ? sortable[key] : undefined;
    if (column === undefined || (direction !== 'asc' && direction !== 'desc'))
      throw invalidField('sort', `cannot sort by '${term}'`);
    return `${column} ${direction}`;
  });
  // The id last makes the order total: a row is never on two pages, or on none.
  return [...terms, 'id'].join(', ');
}

/** One page of a list that the code itself holds. */
export function slicePage<T>(items: readonly T[], query: Pick<ListQuery, 'page' | 'per_page'>): Page<T> {
  const start = (query.page - 1) * query.per_page;
  return { rows: items.slice(start, start + query.per_page), total: items.length };
}

export function paginationMeta(query: Pick<ListQuery, 'page' | 'per_page'>, total: number) {
  const lastPage = Math.max(1, Math.ceil(total / query.per_page));
  return {
    pagination: {
      page: query.page,
      per_page: query.per_page,
      previous_page: query.page > 1 ? query.page - 1 : null,
      next_page: query.page < lastPage ? query.page + 1 : null,
      last_page: lastPage,
      total_entries: total,
    },
  };
}
