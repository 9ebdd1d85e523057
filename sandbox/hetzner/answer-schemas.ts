import { readFile } from 'node:fs/promises';
import type { ValidateFunction } from 'ajv';
import { modelledPaths } from './modelled-answers.ts';

type Responses = Record<string, { content?: Record<string, { schema: object }> }>;
interface Document {
  paths: Record<string, Record<string, { responses: Responses }>>;
}

/** Whether the document knows the call, and how the answer violates it. */
export interface CheckedAnswer {
  checked: boolean;
  problems: string[];
}

export interface AnswerSchemas {
  /** `path` is relative to the API's base; `body` is the text on the wire, if any. */
  check(method: string, path: string, status: number, body: unknown): CheckedAnswer;
}

/** Opens Hetzner's OpenAPI document to check answers against it. Needs the development dependencies. */
export async function openAnswerSchemas(): Promise<AnswerSchemas> {
  const text = await readFile(new URL('./openapi.json', import.meta.url), 'utf8');
  const document: Document = JSON.parse(text);
  const paths = { ...(modelledPaths() as Document['paths']), ...document.paths };
  const compile = await createCompiler();
  const routes = Object.entries(paths).map(([path, operations]) => ({
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    parameters: path.split('{').length - 1,
    operations,
  }));
  // Paths with fewer parameters first: /servers/actions is not the server named "actions".
  routes.sort((a, b) => a.parameters - b.parameters);
  return {
    check(method, path, status, body) {
      const operation = routes.find(({ pattern }) => pattern.test(path))?.operations[method.toLowerCase()];
      if (operation === undefined) return unknownCall(status);
      const described = operation.responses[status] ?? operation.responses[`${Math.floor(status / 100)}xx`];
      if (described === undefined) return { checked: true, problems: [`status ${status} is not described`] };
      const schema = described.content?.['application/json']?.schema;
      return { checked: true, problems: bodyProblems(schema && compile(schema), body) };
    },
  };
}

/** An unknown call may be rejected in any form; any other answer to it is a violation. */
function unknownCall(status: number): CheckedAnswer {
  return { checked: false, problems: status < 400 ? ['the call is not in the document'] : [] };
}

function bodyProblems(validate: ValidateFunction | undefined, body: unknown): string[] {
  if (validate === undefined) return body === undefined || body === '' ? [] : ['the answer must be empty'];
  let value: unknown;
  try {
    value = JSON.parse(String(body));
  } catch {
    return ['the answer is not JSON'];
  }
  if (validate(value)) return [];
  return (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
}

async function createCompiler(): Promise<(schema: object) => ValidateFunction> {
  const [{ Ajv2020 }, { default: formats }] = await Promise.all([
    import('ajv/dist/2020.js'),
    import('ajv-formats'),
  ]);
  // Not strict: the document has annotations (examples, x-…) that Ajv does not know.
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  formats.default(ajv);
  ajv.addFormat('decimal', /^-?\d+(\.\d+)?$/);
  // Ajv caches compiled schemas by the schema object.
  return (schema) => ajv.compile(schema);
}
