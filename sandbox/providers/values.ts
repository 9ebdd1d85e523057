/**
 * A resource's properties as plain JavaScript: secrets unwrapped, unknown values as Pulumi's marker strings.
 */
export type Properties = Record<string, unknown>;

// The signatures of Pulumi's wire format, see sdk/nodejs/runtime/rpc.ts of pulumi/pulumi.
const SIGNATURE_KEY = '4dabf18193072939515e22adb298388d';
const SECRET_SIGNATURE = '1b47061264138c4ac30d75fd1eb44270';
/** Stands for a value in a preview that is known only during the operation. */
export const UNKNOWN_VALUE = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';
const UNKNOWN_VALUES = new Set([
  UNKNOWN_VALUE, // string
  '1c4a061d-8072-4f0a-a4cb-0ff528b18fe7', // bool
  '3eeb2bf0-c639-47a8-9e75-3b44932eb421', // number
  '6a19a0b0-7e62-4c92-b797-7f8e31da9cc2', // array
  '030794c1-ac77-496b-92df-f27374a8bd58', // asset
  'e48ece36-62e2-4504-bad9-02848725956a', // archive
  'dd056dcd-154b-4c76-9bd3-c8f88648b5ff', // object
]);

/** Whether the value is, or contains, an unknown value. */
export function hasUnknown(value: unknown): boolean {
  if (typeof value === 'string') return UNKNOWN_VALUES.has(value);
  if (Array.isArray(value)) return value.some(hasUnknown);
  return isRecord(value) && Object.values(value).some(hasUnknown);
}

export function isRecord(value: unknown): value is Properties {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export interface Unwrapped {
  plain: Properties;
  /** Names of the top-level properties that are or contain a secret. */
  secrets: Set<string>;
}

/** Removes the secret wrappers from the engine's properties, and returns where they were. */
export function unwrapSecrets(properties: Properties): Unwrapped {
  const plain: Properties = {};
  const secrets = new Set<string>();
  for (const [name, value] of Object.entries(properties)) {
    plain[name] = unwrap(value, () => secrets.add(name));
  }
  return { plain, secrets };
}

function unwrap(value: unknown, found: () => void): unknown {
  if (Array.isArray(value)) return value.map((entry) => unwrap(entry, found));
  if (!isRecord(value)) return value;
  if (value[SIGNATURE_KEY] === SECRET_SIGNATURE) {
    found();
    return unwrap(value.value, found);
  }
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, unwrap(entry, found)]));
}

/** Returns the engine's form of the properties: the named ones wrapped as secrets, undefined ones omitted. */
export function wrapSecrets(plain: Properties, secrets: ReadonlySet<string>): Properties {
  const wire: Properties = {};
  for (const [name, value] of Object.entries(plain)) {
    if (value === undefined) continue;
    const cleaned = withoutUndefined(value);
    wire[name] = secrets.has(name) ? { [SIGNATURE_KEY]: SECRET_SIGNATURE, value: cleaned } : cleaned;
  }
  return wire;
}

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((entry) => withoutUndefined(entry) ?? null);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== undefined)
      .map(([name, entry]) => [name, withoutUndefined(entry)]),
  );
}
