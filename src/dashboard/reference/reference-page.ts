import { type Html, html } from '../html.ts';
import { homeCrumb } from '../parts.ts';
import { type Schema, separated, typeText, withCode } from './schema-text.ts';

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: Schema;
}

interface Answer {
  $ref?: string;
  description?: string;
  content?: Record<string, { schema?: Schema }>;
  headers?: Record<string, { description?: string }>;
}

interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  security?: object[];
  'x-least-role'?: string;
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Record<string, { schema?: Schema }> };
  responses: Record<string, Answer>;
}

/** What the page reads of an OpenAPI document. */
export interface ReferenceDocument {
  info: { title: string; description: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; responses: Record<string, Answer> };
}

interface Route {
  method: string;
  path: string;
  operation: Operation;
}

/** Renders `/reference`: every route and every named schema of the OpenAPI document, without a script. */
export function referencePage(document: ReferenceDocument): Html {
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
  const groups = [...Map.groupBy(routes, ({ operation }) => operation.tags[0]!)].sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  const schemas = Object.entries(document.components.schemas);
  const shared = Object.entries(document.components.responses);
  const links = [
    ...groups.map(([tag, members]) => groupLink(`group-${tag}`, tag, members.length)),
    groupLink('answers', 'Common answers', shared.length),
    groupLink('schemas', 'Schemas', schemas.length),
  ];
  return html`${homeCrumb()}<h1>The API</h1>
<p>Every route, from <a href="/openapi.json">the OpenAPI document</a>. Errors are <a href="/problems">problems</a>.</p>
<nav aria-label="Groups">${separated(links, ' · ')}</nav>
${groups.map(
  ([tag, members]) => html`<section aria-labelledby="group-${tag}"><h2 id="group-${tag}">${tag}</h2>
${members.map(routeSection)}</section>`,
)}
<section aria-labelledby="answers"><h2 id="answers">Common answers</h2>
<dl class="facts">${shared.map(([name, answer]) => answerEntry(html`<span id="answer-${name}">${name}</span>`, answer))}</dl></section>
<section aria-labelledby="schemas"><h2 id="schemas">Schemas</h2>
${schemas.map(([name, schema]) => schemaSection(name, schema))}</section>`;
}

const groupLink = (id: string, name: string, count: number) =>
  html`<a href="#${id}">${name}</a> <span class="muted">${count}</span>`;

function routeSection({ method, path, operation }: Route): Html {
  const {
    operationId,
    summary,
    security,
    'x-least-role': least,
    parameters = [],
    requestBody,
    responses,
  } = operation;
  const [body] = Object.values(requestBody?.content ?? {});
  const answers = Object.entries(responses);
  const own = answers.filter(([, answer]) => answer.$ref === undefined);
  const shared = answers.filter(([, answer]) => answer.$ref !== undefined);
  return html`<section class="route" aria-labelledby="${operationId}">
<h3 id="${operationId}"><a href="#${operationId}"><code>${method} ${path}</code></a></h3>
<p>${summary}.<span class="muted">${security === undefined ? ' No token.' : ` Role: ${least}.`}</span></p>
${parameters.length > 0 && parameterTable(parameters, operationId)}
${body !== undefined && html`<p>Body${requestBody?.required !== true && ' (optional)'}: ${typeText(body.schema)}</p>`}
<details><summary>Answers: ${answers.map(([status]) => status).join(', ')}</summary>
<dl class="facts">${own.map(([status, answer]) => answerEntry(status, answer))}</dl>
${shared.length > 0 && html`<p>As elsewhere: ${separated(shared.map(sharedLink), ', ')}</p>`}</details></section>`;
}

const sharedLink = ([status, { $ref = '' }]: [string, Answer]) =>
  html`<a href="#answer-${$ref.split('/').at(-1)!}">${status}</a>`;

function answerEntry(status: string | Html, { description, content, headers }: Answer): Html {
  const [schema] = Object.values(content ?? {});
  const names = Object.keys(headers ?? {});
  return html`<div><dt>${status}</dt><dd>${withCode(description)}${
    schema !== undefined && html`: ${typeText(schema.schema)}`
  }${names.length > 0 && ` (headers ${names.join(', ')})`}</dd></div>`;
}

function parameterTable(parameters: readonly Parameter[], operationId: string): Html {
  return html`<table><caption class="visually-hidden">Parameters of ${operationId}</caption>
<thead><tr><th scope="col">Parameter</th><th scope="col">In</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead>
<tbody>${parameters.map(
    ({ name, in: place, required = false, schema, description }) =>
      html`<tr><th scope="row"><code>${name}</code></th><td data-label="In">${place}${required ? '' : ', optional'}</td>
<td data-label="Type">${typeText(schema)}</td><td data-label="Meaning">${withCode(description ?? schema?.description)}</td></tr>`,
  )}</tbody></table>`;
}

function schemaSection(name: string, schema: Schema): Html {
  const { properties, required = [], description } = schema;
  const heading = html`<h3 id="schema-${name}">${name}</h3>${description !== undefined && html`<p>${withCode(description)}</p>`}`;
  if (properties === undefined) return html`${heading}<p>${typeText(schema)}</p>`;
  return html`${heading}<table><caption class="visually-hidden">Fields of ${name}</caption>
<thead><tr><th scope="col">Field</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead>
<tbody>${Object.entries(properties).map(
    ([field, type]) =>
      html`<tr><th scope="row"><code>${field}</code>${!required.includes(field) && html` <span class="muted">optional</span>`}</th>
<td data-label="Type">${typeText(type)}</td><td data-label="Meaning">${withCode(type.description)}</td></tr>`,
  )}</tbody></table>`;
}
