import { readdirSync } from 'node:fs';

/**
 * Loads every kind of operation: each file of this folder defines one. A process that lists, requests or runs
 * operations imports this module first.
 */
const folder = new URL('./', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && name !== 'all.ts');
await Promise.all(files.map((name) => import(new URL(name, folder).href)));
