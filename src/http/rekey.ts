import { readRekeyStatus } from '../rekey/status.ts';
import { endpoint } from './endpoint.ts';
import { presentRekey, rekeyJson } from './rekey-json.ts';

export const showRekey = endpoint({
  id: 'showRekey',
  method: 'get',
  path: '/api/rekey',
  summary: 'How far a change of the passphrase is, and what is left under the former one',
  access: 'operator',
  answers: { 200: { description: 'The change, or that there is none', schema: rekeyJson } },
  handle: async ({ response, deps }) => {
    response.json(presentRekey(await readRekeyStatus(deps.database)));
  },
});
