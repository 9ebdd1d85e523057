import { type Expression, type SqlBool, sql } from 'kysely';
import type { SandboxDatabase } from '../database.ts';
import { invalidRequest } from './errors.ts';
import type { StripeObject } from './objects.ts';
import { type Clause, parseSearchQuery, unparsableQuery } from './search-query.ts';

/** How the values of a field are compared: exactly, ignoring case or by number. */
type FieldType = 'token' | 'string' | 'number';

/** The searchable fields of a kind of object: type and path in the object, by name. */
export type SearchFields = Readonly<Record<string, { type: FieldType; path: string[] }>>;

interface Searched {
  name: string;
  fields: SearchFields;
}
interface SearchInput {
  query: string;
  limit: number;
  page?: string | undefined;
}

/**
 * Returns one page of the query's matches, newest first. `page` is the `next_page` of the previous page.
 * Unlike Stripe's search, which lags about a minute behind, this one finds every object immediately.
 */
export async function searchObjects<T extends StripeObject>(
  database: SandboxDatabase,
  object: T['object'],
  searched: Searched,
  { query, limit, page }: SearchInput,
): Promise<{ data: T[]; nextPage: string | null }> {
  const { clauses, joint } = parseSearchQuery(query);
  const conditions = clauses.map((clause) => toCondition(clause, searched));
  const before = parsePage(page);
  const rows = await database
    .selectFrom('stripe_objects')
    .select(['body', 'number'])
    .where('object', '=', object)
    .where(({ and, or }) => (joint === 'OR' ? or(conditions) : and(conditions)))
    .$if(before !== undefined, (objects) => objects.where('number', '<', before!))
    .orderBy('number', 'desc')
    .limit(limit + 1)
    .$castTo<{ body: T; number: string }>()
    .execute();
  const data = rows.slice(0, limit);
  return {
    data: data.map((row) => row.body),
    nextPage: rows.length > limit ? Buffer.from(data.at(-1)!.number).toString('base64url') : null,
  };
}

function toCondition(clause: Clause, searched: Searched): Expression<SqlBool> {
  const { type, path } = findField(clause, searched);
  const value = sql<string | null>`(body #>> ${path}::text[])`;
  if (clause.value === null) return clause.negated ? sql`${value} is not null` : sql`${value} is null`;
  const condition = toComparison(clause, clause.value, type, value);
  // A missing value matches no comparison, and so every negated one.
  return clause.negated ? sql`coalesce(not (${condition}), true)` : sql`coalesce(${condition}, false)`;
}

function toComparison(
  { operator, field }: Clause,
  wanted: string,
  type: FieldType,
  value: Expression<string | null>,
): Expression<SqlBool> {
  if (type === 'number' && operator !== '~') {
    if (!/^-?\d{1,15}$/.test(wanted)) throw unparsableQuery();
    const comparison = sql.raw(operator === ':' ? '=' : operator);
    return sql`${value}::numeric ${comparison} ${wanted}::numeric`;
  }
  if (operator === ':' && type === 'token') return sql`${value} = ${wanted}`;
  if (operator === ':') return sql`lower(${value}) = lower(${wanted})`;
  if (operator === '~' && type === 'string') return sql`strpos(lower(${value}), lower(${wanted})) > 0`;
  throw invalidRequest(`Field \`${field}\` does not support operator \`${operator}\`.`);
}

function findField({ field, metadataKey }: Clause, { name, fields }: Searched) {
  if (metadataKey !== undefined) return { type: 'string' as const, path: ['metadata', metadataKey] };
  if (Object.hasOwn(fields, field)) return fields[field]!;
  const list = `http://stripe.com/docs/search#query-fields-for-${name.replaceAll('_', '-')}`;
  throw invalidRequest(
    `Field \`${field}\` is an unsupported search field for resource \`${name}\`. See ${list} for a list of supported fields.`,
  );
}

function parsePage(page: string | undefined): string | undefined {
  if (page === undefined) return undefined;
  const number = Buffer.from(page, 'base64url').toString();
  if (!/^\d{1,18}$/.test(number)) throw invalidRequest('Invalid page.', { param: 'page' });
  return number;
}
