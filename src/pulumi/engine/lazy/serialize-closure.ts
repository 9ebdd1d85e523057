import { lazyFunctions } from './lazy-functions.ts';

const serializeClosure = lazyFunctions('@pulumi/pulumi/runtime/closure/serializeClosure.js', [
  'serializeFunction',
  'serializeFunctionAsync',
]);

export { serializeClosure as 'module.exports' };
