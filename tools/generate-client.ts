// node tools/generate-client.ts: writes client/api.d.ts, the types of the API. A test compares them with the
// document.
import { writeFileSync } from 'node:fs';
import { generateClientTypes } from './client-types.ts';

writeFileSync(new URL('../client/api.d.ts', import.meta.url), await generateClientTypes());
