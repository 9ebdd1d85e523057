import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ToEngine } from '../../../../src/pulumi/engine/messages.ts';
import type { ProviderModule } from '../../../../src/pulumi/engine/run-stack.ts';

const tell = (event: string) => writeFileSync(join(process.env.HOME!, event), '');

/** A provider host that is ready only after its run was cancelled. */
export const startProviderHost: ProviderModule['startProviderHost'] = async () => {
  await new Promise<void>((resolve) => {
    process.on('message', ({ type }: ToEngine) => type === 'cancel' && resolve());
    tell('host-starting');
  });
  return { debugProviders: '', abort: async () => {}, stop: async () => tell('host-stopped') };
};
