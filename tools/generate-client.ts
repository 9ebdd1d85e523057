// node tools/generate-client.ts: writes client/api.d.ts, the types of the API, and
// src/cli/operation-kinds.ts, what the commands know of operations. Tests compare them with the document and
// with the definitions.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateClientTypes } from './client-types.ts';
import { generateOperationKinds } from './operation-kinds.ts';

const root = new URL('../', import.meta.url);
const kinds = fileURLToPath(new URL('src/cli/operation-kinds.ts', root));

writeFileSync(new URL('client/api.d.ts', root), await generateClientTypes());
writeFileSync(kinds, generateOperationKinds());
const biome = fileURLToPath(new URL('node_modules/.bin/biome', root));
const { status } = spawnSync(biome, ['format', '--write', kinds], { cwd: root, stdio: 'inherit' });
process.exitCode = status ?? 1;
