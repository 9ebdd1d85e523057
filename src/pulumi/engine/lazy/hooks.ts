import { registerHooks } from 'node:module';

/**
 * What Pulumi's SDK loads at its start and needs only to serialize functions, which no stack here does: its
 * own modules for that, npm's package tree behind them, and the TypeScript compiler. Together they are more
 * than half of the processor time of an engine process's start and a third of its memory. Code that needs
 * them loads them when it first uses them.
 */
const STAND_INS: Readonly<Record<string, string>> = {
  typescript: new URL('typescript.ts', import.meta.url).href,
  './closure/serializeClosure': new URL('serialize-closure.ts', import.meta.url).href,
  './closure/codePaths': new URL('code-paths.ts', import.meta.url).href,
};

registerHooks({
  resolve: (specifier, context, next) => {
    const url = STAND_INS[specifier];
    const isSdk = context.parentURL?.includes('/node_modules/@pulumi/pulumi/') === true;
    return url !== undefined && isSdk
      ? { url, format: 'module-typescript', shortCircuit: true }
      : next(specifier, context);
  },
});
