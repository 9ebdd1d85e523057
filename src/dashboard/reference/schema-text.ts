import { type Html, html } from '../html.ts';

/** What the reference reads of a JSON schema. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  enum?: unknown[];
  const?: unknown;
  format?: string;
  pattern?: string;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  default?: unknown;
}

/** The type of a schema in one line, with links to the named ones. */
export function typeText(schema: Schema | undefined): Html {
  if (schema === undefined) return html`anything`;
  if (schema.$ref !== undefined) return reference(schema.$ref);
  const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (choices !== undefined) return separated(choices.map(typeText), ' or ');
  if (schema.const !== undefined) return html`<code>${JSON.stringify(schema.const)}</code>`;
  if (schema.enum !== undefined)
    return separated(
      schema.enum.map((one) => html`<code>${String(one)}</code>`),
      ' · ',
    );
  if (schema.items !== undefined) return html`list of ${typeText(schema.items)}`;
  if (schema.properties !== undefined && Object.keys(schema.properties).length === 0)
    return html`an empty object`;
  if (schema.properties !== undefined) return html`object: ${fieldNames(schema.properties)}`;
  const names = [schema.type ?? 'anything'].flat().map((name) => (name === 'null' ? 'null' : name));
  return html`${names.join(' or ')}${limits(schema)}`;
}

function reference(ref: string): Html {
  const name = ref.split('/').at(-1)!;
  return html`<a href="#schema-${name}">${name}</a>`;
}

const fieldNames = (properties: Record<string, Schema>) =>
  separated(
    Object.entries(properties).map(([name, schema]) => html`<code>${name}</code> (${typeText(schema)})`),
    ', ',
  );

function limits({ format, pattern, minimum, maximum, minLength, maxLength, default: value }: Schema): string {
  const parts = [
    format,
    // A date's pattern is a page long, and its format says the same.
    format === undefined && pattern !== undefined && `matching ${pattern}`,
    minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER && `at least ${minimum}`,
    maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER && `at most ${maximum}`,
    minLength !== undefined && `at least ${minLength} characters`,
    maxLength !== undefined && `at most ${maxLength} characters`,
    value !== undefined && `default ${JSON.stringify(value)}`,
  ].filter((part) => typeof part === 'string');
  return parts.length === 0 ? '' : `, ${parts.join(', ')}`;
}

export function separated(parts: readonly Html[], separator: string): Html {
  return html`${parts.map((part, index) => html`${index > 0 && separator}${part}`)}`;
}

/** A text that marks code with backticks, as Markdown does. */
export function withCode(text: string | undefined): Html {
  return html`${text?.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))}`;
}
