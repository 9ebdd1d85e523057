import openapiTypescript, { astToString, type OpenAPI3 } from 'openapi-typescript';
import { API_DOCUMENT } from '../src/app/api.ts';

const HEADER = `// Generated from the OpenAPI document: node tools/generate-client.ts. Do not edit.
`;

/** The types of the API, generated from the document that the service serves. */
export async function generateClientTypes(): Promise<string> {
  const document = JSON.parse(JSON.stringify(API_DOCUMENT)) as OpenAPI3;
  return HEADER + astToString(await openapiTypescript(document, { alphabetize: true }));
}
