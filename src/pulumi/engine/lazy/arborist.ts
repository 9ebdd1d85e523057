import { lazyModule } from './lazy-module.ts';

const arborist = lazyModule('@npmcli/arborist');

export { arborist as 'module.exports' };
