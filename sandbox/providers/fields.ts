import type { ChangeKind, DiffInput, DiffResult, PropertyChange } from './resource.ts';
import { hasUnknown, isRecord, type Properties } from './values.ts';

/** How one input is compared with the recorded state. */
export interface Field {
  kind: 'text' | 'number' | 'flag' | 'list' | 'set' | 'map';
  /** A change requires a new resource. */
  replaces?: boolean;
  /** The service fills in an omitted value, so omitting it is not a change. */
  computed?: boolean;
  /** The value if it is omitted. */
  fallback?: unknown;
  /** Decides equality itself; `recorded` may be undefined. */
  same?(recorded: unknown, wanted: unknown, state: Properties): boolean;
}

export type Fields = Record<string, Field>;

/**
 * Compares the program's inputs with the recorded state, as Terraform's providers do: absent and empty are
 * equal, sets have no order, and computed values are compared only if the program sets them.
 */
export function compareFields(fields: Fields, { state, inputs }: DiffInput): PropertyChange[] {
  return Object.entries(fields).flatMap(([name, field]) => compareField(name, field, inputs[name], state));
}

function compareField(name: string, field: Field, wanted: unknown, state: Properties): PropertyChange[] {
  const recorded = state[name];
  const replaces = field.replaces === true;
  if (wanted === undefined || wanted === null) {
    if (field.computed) return [];
  } else if (hasUnknown(wanted)) {
    return [{ path: name, kind: changeKind(recorded, wanted), replaces }];
  }
  const same = field.same
    ? field.same(recorded, wanted, state)
    : canonical(field, recorded) === canonical(field, wanted);
  if (same) return [];
  if (field.kind === 'map') return compareEntries(name, recorded, wanted, replaces);
  return [{ path: name, kind: changeKind(recorded, wanted), replaces }];
}

function compareEntries(
  name: string,
  recorded: unknown,
  wanted: unknown,
  replaces: boolean,
): PropertyChange[] {
  const before = isRecord(recorded) ? recorded : {};
  const after = isRecord(wanted) ? wanted : {};
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys
    .filter((key) => before[key] !== after[key])
    .map((key) => ({ path: entryPath(name, key), kind: changeKind(before[key], after[key]), replaces }));
}

function entryPath(name: string, key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `${name}.${key}` : `${name}[${JSON.stringify(key)}]`;
}

function changeKind(before: unknown, after: unknown): ChangeKind {
  if (isEmpty(before)) return 'add';
  return isEmpty(after) ? 'delete' : 'update';
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return isRecord(value) && Object.keys(value).length === 0;
}

function canonical(field: Field, value: unknown): string {
  const given = isEmpty(value) ? field.fallback : value;
  if (isEmpty(given)) return '';
  if (field.kind === 'text') return String(given);
  if (field.kind === 'number') return String(Number(given));
  if (field.kind === 'flag') return String(given === true || given === 'true');
  if (field.kind === 'set' && Array.isArray(given)) return JSON.stringify(given.map(stable).sort());
  return stable(given);
}

/** Returns JSON with sorted keys: values are equal if and only if their texts are. */
export function stable(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stable).join(',')}]`;
  if (!isRecord(value)) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined && entry !== null);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${stable(entry)}`).join(',')}}`;
}

/** Returns the top-level properties of the changes. */
export function changedNames(changes: readonly PropertyChange[]): Set<string> {
  return new Set(changes.map(({ path }) => path.split(/[.[]/, 1)[0]!));
}

/**
 * Returns the diff of a resource whose name must be unique. A replacement with the same explicit name must
 * delete the old resource first; one with a generated name gets a new name, so it need not.
 */
export function diffNamed(fields: Fields, input: DiffInput): DiffResult {
  const generated = input.inputs.__defaults;
  const autonamed = Array.isArray(generated) && generated.includes('name');
  return {
    changes: compareFields(fields, input),
    deleteBeforeReplace: !autonamed && input.inputs.name === input.state.name,
  };
}

/** Generates a name for a resource without one; later runs keep it. */
export function addName(
  inputs: Properties,
  old: Properties,
  context: { name: string; suffix: string },
): Properties {
  if (inputs.name !== undefined) return {};
  const kept = Array.isArray(old.__defaults) && old.__defaults.includes('name') ? old.name : undefined;
  return { name: kept ?? `${context.name}-${context.suffix}`, __defaults: ['name'] };
}
