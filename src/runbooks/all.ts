import { readdirSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Loads all kinds of operation: each file in this folder defines one. A process that lists, requests or runs
 * operations must import this module first.
 */
const kinds = readdirSync(new URL('./', import.meta.url))
  .filter((name) => name.endsWith('.ts') && name !== 'all.ts')
  .map((name) => basename(name, '.ts'));
// By relative names, as other modules import them: vitest may load a module twice that has two names.
await Promise.all(kinds.map((kind) => import(/* @vite-ignore */ `./${kind}.ts`)));
