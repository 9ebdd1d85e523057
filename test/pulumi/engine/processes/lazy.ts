import '../../../../src/pulumi/engine/lazy/hooks.ts';
import { createRequire } from 'node:module';
import * as pulumi from '@pulumi/pulumi';

/** Says what the SDK has loaded before and after it serializes a function and packs its code. */
const { cache } = createRequire(import.meta.url);
const hasLoaded = (file: string) => Object.keys(cache).some((path) => path.endsWith(file));
const heavy = () =>
  [
    '/closure/serializeClosure.js',
    '/closure/codePaths.js',
    '/typescript/lib/typescript.js',
    '/@npmcli/arborist/lib/index.js',
  ].map(hasLoaded);

const atStart = heavy();
const one = 1;
const { text } = await pulumi.runtime.serializeFunction(() => one + 1);
const serialized = heavy();
const paths = await pulumi.runtime.computeCodePaths();
console.log(JSON.stringify({ atStart, serialized, packed: heavy(), paths: paths.size, text }));
