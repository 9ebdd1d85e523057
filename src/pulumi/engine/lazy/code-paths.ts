import { lazyFunctions } from './lazy-functions.ts';

const codePaths = lazyFunctions('@pulumi/pulumi/runtime/closure/codePaths.js', ['computeCodePaths']);

export { codePaths as 'module.exports' };
