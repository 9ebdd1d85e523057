import { lazyModule } from './lazy-module.ts';

const typescript = lazyModule('typescript');

export { typescript as 'module.exports' };
