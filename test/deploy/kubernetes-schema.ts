import { Ajv, type ErrorObject } from 'ajv';

interface Definition {
  type?: string;
  format?: string;
  properties?: Record<string, unknown>;
  additionalProperties?: unknown;
  'x-kubernetes-group-version-kind'?: { group: string; version: string; kind: string }[];
}

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
}

/**
 * Checks manifests by the API's own document as the API server does with strict validation of fields: fields
 * that it does not know are errors.
 */
export function createManifestCheck(document: { definitions: Record<string, Definition> }) {
  const definitions = Object.fromEntries(
    Object.entries(document.definitions).map(([name, definition]) => [name, strict(name, definition)]),
  );
  const names = new Map(
    Object.entries(document.definitions).flatMap(([name, definition]) =>
      (definition['x-kubernetes-group-version-kind'] ?? []).map(({ group, version, kind }) => [
        `${group === '' ? '' : `${group}/`}${version} ${kind}`,
        name,
      ]),
    ),
  );
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema({ definitions }, 'kubernetes');
  return ({ apiVersion, kind, ...rest }: Manifest): string[] => {
    const name = names.get(`${apiVersion} ${kind}`);
    if (name === undefined) return [`there is no ${kind} in ${apiVersion}`];
    const validate = ajv.getSchema(`kubernetes#/definitions/${name}`)!;
    validate({ apiVersion, kind, ...rest });
    return (validate.errors ?? []).map(describe);
  };
}

function strict(name: string, definition: Definition): object {
  if (definition.format === 'int-or-string' || name.endsWith('api.resource.Quantity'))
    return { type: ['string', 'number'] };
  if (definition.properties === undefined || definition.additionalProperties !== undefined) return definition;
  return { ...definition, additionalProperties: false };
}

const describe = ({ instancePath, message, params }: ErrorObject) =>
  `${instancePath} ${message} ${JSON.stringify(params)}`;
