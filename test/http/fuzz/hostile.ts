import fc from 'fast-check';

/**
 * JSON as text, because much hostile input is lost in a parsed value: a number beyond all limits, a duplicate
 * key, half a character.
 */
export const hostileJson: fc.Arbitrary<string> = fc.oneof(
  { weight: 120, arbitrary: fc.constantFrom(...odd()) },
  { weight: 40, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }).map((text) => JSON.stringify(text)) },
  { weight: 40, arbitrary: fc.json({ maxDepth: 3 }) },
  { weight: 20, arbitrary: fc.constantFrom(64, 1_000, 30_000).map(levels) },
  // As large as a body may be. Rare, because it is half a megabyte.
  { weight: 1, arbitrary: fc.constantFrom(levels(200_000), levels(80_000, '{"a":', '}')) },
);

function levels(depth: number, open = '[', close = ']'): string {
  return `${open.repeat(depth)}${open === '[' ? '' : '1'}${close.repeat(depth)}`;
}

function odd(): string[] {
  const texts = [
    '',
    ' ',
    'a\u0000b',
    '-oProxyCommand=reboot',
    '../../x',
    "'; drop table agents; --",
    'x'.repeat(300),
    '😀'.repeat(5_000),
    '2026-01-01T00:00:00Z',
    'paid',
    '__proto__',
    'toString',
  ];
  const raw = [
    '"\\ud800"',
    '"a\\udfffb"',
    '"\\u0000"',
    'null',
    'true',
    'false',
    '[]',
    '{}',
    '0',
    '-0',
    '-1',
    '7',
    '1.5',
    '1e308',
    '1e999',
    '-1e999',
    '2147483648',
    '9007199254740993',
    '9'.repeat(400),
    '["agentId"]',
    '{"__proto__":{"polluted":true}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '{"toJSON":"x","valueOf":1,"toString":null}',
    '{"$ne":1}',
    '{"id":"sub_1"}',
    '{"a":1,"a":{"b":[]}}',
    '{"\\u0000":"\\ud83d"}',
  ];
  return [...texts.map((text) => JSON.stringify(text)), ...raw];
}

/** One change of a message: the part at this index is removed, replaced, or given another key. */
export interface Mutation {
  at: number;
  how: 'replace' | 'remove' | 'add';
  key: string;
  json: string;
}

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(60),
  how: fc.constantFrom('replace', 'replace', 'remove', 'add'),
  key: fc.constantFrom('__proto__', 'constructor', 'a', 'type', 'data', 'status', '\u0000', 'x'.repeat(300)),
  json: hostileJson,
});

/** Returns the message as JSON text, with every mutation applied. */
export function mutated(message: unknown, mutations: readonly Mutation[]): string {
  const copy = structuredClone({ message });
  const raw: string[] = [];
  const placeholder = (json: string) => `@@${raw.push(json) - 1}@@`;
  for (const { at, how, key, json } of mutations) {
    const entries = listEntries(copy);
    const entry = entries[at % entries.length]!;
    const inside = entry.holder[entry.key];
    if (how === 'remove' && entry.holder !== copy) delete entry.holder[entry.key];
    else if (how === 'add' && isHolder(inside)) define(inside, key, placeholder(json));
    else define(entry.holder, entry.key, placeholder(json));
  }
  const text = JSON.stringify(copy.message) ?? '';
  return text.replace(/"@@(\d+)@@"/g, (_, index) => raw[Number(index)]!);
}

type Holder = Record<string, unknown>;

const isHolder = (value: unknown): value is Holder => typeof value === 'object' && value !== null;

function define(holder: Holder, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

function listEntries(holder: Holder): { holder: Holder; key: string }[] {
  return Object.keys(holder).flatMap((key) => {
    const value = holder[key];
    return [{ holder, key }, ...(isHolder(value) ? listEntries(value) : [])];
  });
}
