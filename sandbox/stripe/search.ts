import type { Queryable } from '../database.ts';
import { invalidRequest } from './errors.ts';
import type { StripeObject } from './objects.ts';
import { type Clause, parseSearchQuery, unparsableQuery } from './search-query.ts';

/** What can be searched for: by name, how it is compared and where it stands in the object. */
export type SearchFields = Readonly<Record<string, { type: 'token' | 'string' | 'number'; path: string[] }>>;

type Searched = { name: string; fields: SearchFields };
type SearchInput = { query: string; limit: number; page?: string | undefined };

/**
 * One page of what a query finds, newest first. `page` is the `next_page` of the page before.
 * Unlike Stripe's, which is about a minute behind, this search knows every object at once.
 */
export async function searchObjects<T extends StripeObject>(
  db: Queryable,
  object: T['object'],
  searched: Searched,
  { query, limit, page }: SearchInput,
): Promise<{ data: T[]; nextPage: string | null }> {
  const { clauses, joint } = parseSearchQuery(query);
  const values: unknown[] = [object, fromPage(page), limit + 1];
  const conditions = clauses.map((clause) => toSql(clause, searched, (value) => `$${values.push(value)}`));
  const { rows } = await db.query<{ body: T; number: string }>(
    `SELECT body, number FROM stripe_objects
     WHERE object = $1 AND ($2::bigint IS NULL OR number < $2) AND (${conditions.join(` ${joint} `)})
     ORDER BY number DESC LIMIT $3`,
    values,
  );
  const data = rows.slice(0, limit);
  return {
    data: data.map((row) => row.body),
    nextPage: rows.length > limit ? Buffer.from(data.at(-1)!.number).toString('base64url') : null,
  };
}

function toSql(clause: Clause, searched: Searched, bind: (value: unknown) => string): string {
  const { type, path } = fieldOf(clause, searched);
  const column = `body #>> ${bind(path)}::text[]`;
  if (clause.value === null) return `${column} IS ${clause.negated ? 'NOT ' : ''}NULL`;
  const condition = comparison(clause, type, column, bind);
  return clause.negated ? `coalesce(NOT (${condition}), true)` : `coalesce(${condition}, false)`;
}

function comparison(
  { operator, value, field }: Clause,
  type: 'token' | 'string' | 'number',
  column: string,
  bind: (value: unknown) => string,
): string {
  if (type === 'number' && operator !== '~') {
    if (!/^-?\d{1,15}$/.test(value!)) throw unparsableQuery();
    return `(${column})::numeric ${operator === ':' ? '=' : operator} ${bind(value)}::numeric`;
  }
  if (operator === ':' && type === 'token') return `${column} = ${bind(value)}`;
  if (operator === ':') return `lower(${column}) = lower(${bind(value)})`;
  if (operator === '~' && type === 'string') return `strpos(lower(${column}), lower(${bind(value)})) > 0`;
  throw invalidRequest(`Field \`${field}\` does not support operator \`${operator}\`.`);
}

function fieldOf({ field, metadataKey }: Clause, { name, fields }: Searched) {
  if (metadataKey !== undefined) return { type: 'string' as const, path: ['metadata', metadataKey] };
  if (Object.hasOwn(fields, field)) return fields[field]!;
  const list = `http://stripe.com/docs/search#query-fields-for-${name.replaceAll('_', '-')}`;
  throw invalidRequest(
    `Field \`${field}\` is an unsupported search field for resource \`${name}\`. See ${list} for a list of supported fields.`,
  );
}

function fromPage(page: string | undefined): string | null {
  if (page === undefined) return null;
  const number = Buffer.from(page, 'base64url').toString();
  if (!/^\d{1,18}$/.test(number)) throw invalidRequest('Invalid page.', { param: 'page' });
  return number;
}
