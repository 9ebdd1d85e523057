import { type Expression, expressionBuilder, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import { z } from 'zod';
import { invalidField } from './errors.ts';
import { listParameter } from './input.ts';
import { parseLabelSelector, selectorConditions } from './label-selector.ts';
import type { Labels } from './labels.ts';

const positive = z.coerce.number().int().min(1);

/** Query parameters of every list call. More than 50 per page counts as 50, as at Hetzner. */
export const listQuery = z.object({
  page: positive.default(1),
  per_page: positive.default(25).transform((perPage) => Math.min(perPage, 50)),
  sort: listParameter,
  name: z.string().optional(),
  label_selector: z.string().optional(),
});

export type ListQuery = z.infer<typeof listQuery>;

/** Converts the query's `name` and `label_selector` to conditions on the columns `name` and `labels`. */
export function nameAndLabels({
  name,
  label_selector,
}: Pick<ListQuery, 'name' | 'label_selector'>): Expression<SqlBool> {
  const eb = expressionBuilder<{ resource: { name: string; labels: Labels } }, 'resource'>();
  return eb.and([
    ...(name === undefined ? [] : [eb('name', '=', name)]),
    ...(label_selector === undefined ? [] : selectorConditions(parseLabelSelector(label_selector))),
  ]);
}

export interface Page<T> {
  rows: T[];
  total: number;
}

/** Reads one page of a query's rows, which have an id. `sortable` maps Hetzner's sort keys to expressions. */
export async function selectPage<DB, TB extends keyof DB, Row>(
  select: SelectQueryBuilder<DB, TB, Row>,
  sortable: Record<string, Expression<unknown>>,
  query: Pick<ListQuery, 'page' | 'per_page' | 'sort'>,
): Promise<Page<Row>> {
  let page = select;
  for (const { expression, direction } of sortTerms(query.sort, sortable))
    page = page.orderBy(expression, direction);
  // The id makes the order total, so that every row is on exactly one page.
  page = page
    .orderBy(sql.ref('id'))
    .limit(query.per_page)
    .offset((query.page - 1) * query.per_page);
  const { total } = await select
    .clearSelect()
    .select(sql<number>`count(*)::int`.as('total'))
    .$castTo<{ total: number }>()
    .executeTakeFirstOrThrow();
  return { rows: await page.execute(), total };
}

function sortTerms(sort: string[], sortable: Record<string, Expression<unknown>>) {
  return sort.map((term) => {
    const [key = '', direction = 'asc'] = term.split(':');
    const expression = Object.hasOwn(sortable, key) ? sortable[key] : undefined;
    if (expression === undefined || (direction !== 'asc' && direction !== 'desc'))
      throw invalidField('sort', `cannot sort by '${term}'`);
    return { expression, direction: direction as 'asc' | 'desc' };
  });
}

/** Returns one page of an array. */
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
