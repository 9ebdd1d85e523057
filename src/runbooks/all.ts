import { readdirSync } from 'node:fs';

/**
 * Loads all kinds of operation: each file in this folder defines one. A process that lists, requests or runs
 * operations must import this module first.
 */
const folder = new URL('./', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && name !== 'all.ts');
await Promise.all(files.map((name) => import(new URL(name, folder).href)));
