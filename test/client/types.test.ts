import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { generateClientTypes } from '../../tools/client-types.ts';

test('client/api.d.ts is what the document generates: node tools/generate-client.ts', async () => {
  const committed = readFileSync(new URL('../../client/api.d.ts', import.meta.url), 'utf8');
  expect(committed === (await generateClientTypes()), 'run node tools/generate-client.ts').toBe(true);
});
