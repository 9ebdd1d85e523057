import { ABSENT_FAMILIES } from './catalogue/routes.ts';

/**
 * Returns the calls that the official document in this repository lacks, with answers as Hetzner's client
 * libraries read them.
 */
export function modelledPaths(): Record<string, object> {
  const families = ABSENT_FAMILIES.flatMap(([plural, , hasActions]) => [
    [`/${plural}`, get(emptyList(plural))],
    ...(hasActions ? [[`/${plural}/actions`, get(emptyList('actions'))]] : []),
  ]);
  return { '/pricing': get(object({ pricing })), ...Object.fromEntries(families) };
}

const text = { type: 'string' };
const price = object({ net: text, gross: text });
const at = (more: object) => object({ location: text, ...more });
const list = (items: object) => ({ type: 'array', items });

const ofServer = at({
  price_hourly: price,
  price_monthly: price,
  included_traffic: { type: 'integer' },
  price_per_tb_traffic: price,
});

const pricing = object({
  currency: text,
  vat_rate: text,
  image: object({ price_per_gb_month: price }),
  floating_ip: object({ price_monthly: price }),
  floating_ips: list(object({ type: text, prices: list(at({ price_monthly: price })) })),
  primary_ips: list(object({ type: text, prices: list(at({ price_hourly: price, price_monthly: price })) })),
  server_backup: object({ percentage: text }),
  server_types: list(object({ id: { type: 'integer' }, name: text, prices: list(ofServer) })),
  load_balancer_types: list(object({ id: { type: 'integer' }, name: text, prices: list(ofServer) })),
  traffic: object({ price_per_tb: price }),
  volume: object({ price_per_gb_month: price }),
});

function emptyList(plural: string): object {
  const count = { type: ['integer', 'null'] };
  const names = ['page', 'per_page', 'previous_page', 'next_page', 'last_page', 'total_entries'];
  const pagination = object(Object.fromEntries(names.map((name) => [name, count])));
  return object({ [plural]: { type: 'array', maxItems: 0 }, meta: object({ pagination }) });
}

function object(properties: object): object {
  return { type: 'object', properties, required: Object.keys(properties) };
}

function get(schema: object): object {
  const error = object({ error: object({ code: text, message: text }) });
  const json = (answer: object) => ({ content: { 'application/json': { schema: answer } } });
  return { get: { responses: { 200: json(schema), '4xx': json(error), '5xx': json(error) } } };
}
