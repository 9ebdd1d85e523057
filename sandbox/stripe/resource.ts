import type { z } from 'zod';
import type { Endpoints } from './endpoint.ts';
import type { Expandable, Includes } from './expand.ts';
import { listObjects, readObject, type StripeObject } from './objects.ts';
import { createdRange, limit, pageParameters, text } from './parameters.ts';
import { type SearchFields, searchObjects } from './search.ts';
import { toList } from './wire.ts';

/** Selects the objects of a list: those that match `filter`, one of `anyOf` and not `except`. */
export interface Narrowing {
  filter?: Record<string, unknown>;
  anyOf?: Record<string, unknown>[];
  except?: Record<string, unknown>;
}

/** A filter parameter of a list. `absent` applies without the parameter, and may depend on the others. */
export interface Filter {
  value: z.ZodType;
  // biome-ignore lint/suspicious/noExplicitAny: the output type of `value`, which differs between filters.
  narrow: (value: any) => Narrowing;
  absent?: Narrowing | ((given: Record<string, unknown>) => Narrowing);
}

/** Declares how a kind of Stripe object is listed, searched, read and expanded. */
export interface Resource<T extends StripeObject> {
  object: T['object'];
  /** `/customers`, without the version. */
  path: string;
  filters: Record<string, Filter>;
  /** Undefined if it cannot be searched, as at Stripe. */
  search?: SearchFields;
  expandable: Expandable;
  includes?: Includes<T>;
  /** Adds the fields that the API shows but that are not stored. */
  present?: (object: T, baseUrl: string) => T;
}

/** Returns a filter that compares `field`, or merges an object value into the filter without one. */
export function equals(value: z.ZodType, field?: string): Filter {
  return { value, narrow: (wanted) => ({ filter: field === undefined ? wanted : { [field]: wanted } }) };
}

/** Lists a test clock's objects. Without a clock or a customer, those that follow no test clock. */
export const ofTestClock: Filter = {
  value: text,
  narrow: (test_clock: string) => ({ filter: { test_clock } }),
  absent: ({ customer }) => (customer === undefined ? { filter: { test_clock: null } } : {}),
};

/** Mounts `GET` for the list, one object and the search. Mount fixed paths below it first. */
export function mountResource<T extends StripeObject>(endpoints: Endpoints, resource: Resource<T>): void {
  const { object, path, search, present = (shown: T) => shown } = resource;
  endpoints.declare(object, {
    expandable: resource.expandable,
    ...(resource.includes && { includes: resource.includes }),
  });
  const filters = Object.fromEntries(
    Object.entries(resource.filters).map(([name, { value }]) => [name, value.optional()]),
  );
  const parameters = { ...pageParameters, created: createdRange, ...filters };
  endpoints.get(path, { answers: `${object}[]`, parameters }, async (database, { input, baseUrl }) => {
    const { created, limit, starting_after, ending_before, ...given } = input;
    const page = { limit, starting_after, ending_before };
    const narrowing = narrow(resource.filters, given);
    const { data, hasMore } = await listObjects<T>(database, object, { ...narrowing, created, page });
    return toList(
      `/v1${path}`,
      data.map((item) => present(item, baseUrl)),
      hasMore,
    );
  });
  if (search !== undefined) mountSearch(endpoints, resource, search);
  endpoints.get(`${path}/:id`, { answers: object, parameters: {} }, async (database, { id, baseUrl }) =>
    present(await readObject<T>(database, object, id), baseUrl),
  );
}

function mountSearch<T extends StripeObject>(
  endpoints: Endpoints,
  resource: Resource<T>,
  search: SearchFields,
): void {
  const { object, path, present = (shown: T) => shown } = resource;
  const parameters = { query: text, limit, page: text.optional() };
  endpoints.get(
    `${path}/search`,
    { answers: `${object}[]`, parameters },
    async (database, { input, baseUrl }) => {
      const { data, nextPage } = await searchObjects<T>(
        database,
        object,
        { name: path.slice(1), fields: search },
        input,
      );
      return {
        object: 'search_result',
        url: `/v1${path}/search`,
        has_more: nextPage !== null,
        data: data.map((item) => present(item, baseUrl)),
        next_page: nextPage,
      };
    },
  );
}

function narrow(filters: Record<string, Filter>, given: Record<string, unknown>): Narrowing {
  const parts = Object.entries(filters).map(([name, filter]) =>
    given[name] === undefined ? toAbsent(filter, given) : filter.narrow(given[name]),
  );
  const anyOf = parts.flatMap((part) => part.anyOf ?? []);
  const except = parts.find((part) => part.except !== undefined)?.except;
  return {
    filter: Object.assign({}, ...parts.map((part) => part.filter)),
    ...(anyOf.length > 0 && { anyOf }),
    ...(except !== undefined && { except }),
  };
}

function toAbsent({ absent = {} }: Filter, given: Record<string, unknown>): Narrowing {
  return typeof absent === 'function' ? absent(given) : absent;
}
