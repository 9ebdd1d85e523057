import { isDeepStrictEqual } from 'node:util';
import jsonc from 'jsonc-parser';
import { InvalidInputError } from '../errors.ts';
import type { OurPolicy } from './our-policy.ts';

interface Rule {
  action?: string;
  src?: string[];
  dst?: string[];
}

/**
 * Adds to a tailnet's policy what agents and controllers need: the tags' owners, the rule between them, and
 * its tests. Takes away the rules that let everything reach everything, with which agents would reach each
 * other. What else is in it stays, with its comments.
 * @throws InvalidInputError if the text is not a policy
 */
export function mergePolicy(text: string, ours: OurPolicy): string {
  const errors: jsonc.ParseError[] = [];
  const found: unknown = jsonc.parse(text, errors, { allowTrailingComma: true });
  if (errors.length > 0 || typeof found !== 'object' || found === null || Array.isArray(found))
    throw new InvalidInputError('The tailnet’s policy cannot be read as HuJSON');
  const policy = found as Record<string, unknown>;
  let merged = text;
  for (const list of ['acls', 'grants'] as const)
    for (const at of openRules(policy[list]).reverse()) merged = change(merged, [list, at], undefined);
  const owners = (policy.tagOwners ?? {}) as Record<string, string[]>;
  for (const [tag, wanted] of Object.entries(ours.tagOwners).reverse()) {
    const missing = wanted.filter((owner) => owners[tag]?.includes(owner) !== true);
    if (owners[tag] === undefined) merged = insert(merged, 'tagOwners', '{}', `"${tag}": ${oneLine(wanted)}`);
    else if (missing.length > 0) merged = change(merged, ['tagOwners', tag], [...owners[tag], ...missing]);
  }
  for (const list of ['acls', 'tests'] as const) {
    const present = toList(policy[list]);
    for (const item of ours[list].toReversed())
      if (!present.some((one) => isDeepStrictEqual(one, item)))
        merged = insert(merged, list, '[]', oneLine(item));
  }
  return merged;
}

/** Changes one value, and no other character. */
function change(text: string, path: (string | number)[], value: unknown): string {
  return jsonc.applyEdits(text, jsonc.modify(text, path, value, {}));
}

/** Inserts a line as the first one of a list or an object, which is made if there is none. */
function insert(text: string, name: string, empty: string, line: string): string {
  const options = { allowTrailingComma: true };
  const root = jsonc.parseTree(text, [], options)!;
  const node = jsonc.findNodeAtLocation(root, [name]);
  if (node !== undefined) {
    const start = node.offset + 1;
    const end = node.children?.length ? '' : '\n  ';
    return `${text.slice(0, start)}\n    ${line},${end}${text.slice(start)}`;
  }
  const at = root.offset + 1;
  const [open, close] = [...empty];
  return `${text.slice(0, at)}\n  "${name}": ${open}\n    ${line},\n  ${close},${text.slice(at)}`;
}

/** As people write it: on one line, with blanks inside its braces. */
const oneLine = (value: unknown) =>
  JSON.stringify(value, null, 1)
    .replace(/([[])\n\s*|\n\s*(\])/g, '$1$2')
    .replace(/\n\s*/g, ' ');

/** Where a list has rules that let every source reach everything. */
function openRules(list: unknown): number[] {
  return toList(list).flatMap((rule, at) => {
    const { src = [], dst = [] } = rule as Rule;
    return src.includes('*') && dst.some((target) => target === '*' || target === '*:*') ? [at] : [];
  });
}

const toList = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
