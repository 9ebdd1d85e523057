import '../../../../src/pulumi/engine/lazy/hooks.ts';
import { createRequire } from 'node:module';
import * as pulumi from '@pulumi/pulumi';

/** Says what the SDK has loaded, before and after it serializes a function. */
const { cache } = createRequire(import.meta.url);
const hasLoaded = (file: string) => Object.keys(cache).some((path) => path.endsWith(file));
const heavy = () => ['/typescript/lib/typescript.js', '/@npmcli/arborist/lib/index.js'].map(hasLoaded);

const atStart = heavy();
const one = 1;
const { text } = await pulumi.runtime.serializeFunction(() => one + 1);
console.log(JSON.stringify({ atStart, afterwards: heavy(), text }));
