import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dashboardText } from './dashboard.ts';

/** `npm run observability`: renews the files below docs/observability that are made from others. */
const folder = fileURLToPath(new URL('../../docs/observability', import.meta.url));
writeFileSync(join(folder, 'dashboard.json'), dashboardText());
if (process.argv.includes('--trace')) {
  const { renewPicture } = await import('./renew-picture.ts');
  await renewPicture(join(folder, 'trace.svg'));
}
