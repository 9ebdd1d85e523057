import { invalidRequest } from './errors.ts';

export interface Clause {
  field: string;
  /** For `metadata['key']:…` */
  metadataKey?: string | undefined;
  operator: ':' | '~' | '>' | '<' | '>=' | '<=';
  /** `null` asks whether the field has a value. */
  value: string | null;
  negated: boolean;
}

export interface SearchQuery {
  clauses: Clause[];
  joint: 'AND' | 'OR';
}

const QUOTED = `"((?:[^"\\\\]|\\\\.)*)"|'((?:[^'\\\\]|\\\\.)*)'`;
const CLAUSE = new RegExp(
  `\\s*(-?)([a-z_]+)(?:\\[(?:${QUOTED})\\])?\\s*(>=|<=|:|~|>|<)\\s*(?:${QUOTED}|([\\w.+-]+))\\s*`,
  'y',
);
const JOINT = /(AND|OR)(?=\s)/iy;

/**
 * Parses Stripe's search language: `field:'exact'`, `field~'part'`, `field>10`, `metadata['key']:'value'`,
 * with `-` for negation, joined by AND or by OR, never by both.
 * Source: https://docs.stripe.com/search#search-query-language
 */
export function parseSearchQuery(query: string): SearchQuery {
  const clauses: Clause[] = [];
  const joints = new Set<string>();
  let at = 0;
  while (at < query.length) {
    CLAUSE.lastIndex = at;
    const match = CLAUSE.exec(query);
    if (match === null) throw unparsableQuery();
    clauses.push(toClause(match));
    at = CLAUSE.lastIndex;
    if (at === query.length) break;
    JOINT.lastIndex = at;
    const joint = JOINT.exec(query);
    // Two clauses without an operator are joined by AND.
    joints.add(joint === null ? 'AND' : joint[0].toUpperCase());
    if (joint !== null) at = JOINT.lastIndex;
  }
  if (clauses.length === 0 || joints.size > 1) throw unparsableQuery();
  return { clauses, joint: joints.has('OR') ? 'OR' : 'AND' };
}

function toClause(match: RegExpExecArray): Clause {
  const [, minus, field, key1, key2, operator, double, single, bare] = match;
  const quoted = double ?? single;
  return {
    field: field!,
    metadataKey: unescaped(key1 ?? key2),
    operator: operator as Clause['operator'],
    value: quoted === undefined ? (bare === 'null' ? null : bare!) : unescaped(quoted)!,
    negated: minus === '-',
  };
}

function unescaped(text: string | undefined): string | undefined {
  return text?.replace(/\\(.)/g, '$1');
}

/** Returns Stripe's error for an invalid query. */
export function unparsableQuery() {
  return invalidRequest('We were unable to parse your search query.', { param: 'query' });
}
