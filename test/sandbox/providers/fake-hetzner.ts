import { createHash } from 'node:crypto';
import { type Answer, type Received, startFakeHttp } from './fake-http.ts';

// biome-ignore-start lint/suspicious/noExplicitAny: each test knows the fields of its objects
interface Thing {
  id: number;
  name: string;
  labels: Record<string, string>;
  [property: string]: any;
}

/** The part of Hetzner's API that the hcloud provider uses. Actions succeed after one poll. */
export async function startFakeHetzner() {
  let lastId = 1000;
  const servers = new Map<number, Thing>();
  const sshKeys = new Map<number, Thing>();
  const firewalls = new Map<number, Thing>();
  const actions = new Map<number, { id: number; status: string; looks: number; error: unknown }>();
  /** Answers that replace the real one, by `METHOD /path`; each is used once. */
  const ordered: { call: string; answer: Answer }[] = [];
  const collections: Record<string, [string, Map<number, Thing>]> = {
    servers: ['server', servers],
    ssh_keys: ['ssh_key', sshKeys],
    firewalls: ['firewall', firewalls],
  };

  const newAction = (failure?: { code: string; message: string }) => {
    const action = { id: ++lastId, status: 'running', looks: 0, error: failure ?? null };
    actions.set(action.id, action);
    return { id: action.id, status: action.status, error: null };
  };
  let nextActionFailure: { code: string; message: string } | undefined;

  const makers: Record<string, (body: any) => Thing> = {
    servers: (body) => ({
      id: ++lastId,
      name: body.name,
      labels: body.labels ?? {},
      status: 'running',
      server_type: { name: body.server_type },
      image: { id: 7, name: 'debian-12' },
      location: { name: body.location ?? 'fsn1' },
      public_net: {
        ipv4: { id: 1, ip: '192.0.2.10' },
        ipv6: { id: 2, ip: '2001:db8:1::/64' },
        firewalls: (body.firewalls ?? []).map(({ firewall }: any) => ({ id: firewall, status: 'applied' })),
      },
      backup_window: null,
      protection: { delete: false, rebuild: false },
      primary_disk_size: 40,
      user_data: body.user_data,
    }),
    ssh_keys: (body) => ({
      id: ++lastId,
      name: body.name,
      labels: body.labels ?? {},
      public_key: body.public_key,
      fingerprint: md5Fingerprint(body.public_key),
    }),
    firewalls: (body) => ({
      id: ++lastId,
      name: body.name,
      labels: body.labels ?? {},
      rules: body.rules ?? [],
      applied_to: body.apply_to ?? [],
    }),
  };

  const refuse = (status: number, code: string, message: string): Answer => ({
    status,
    headers: { 'x-correlation-id': 'c0ffee' },
    body: { error: { code, message } },
  });

  const act = (kind: string, thing: Thing, name: string, body: any): Answer => {
    if (name === 'poweroff' || name === 'shutdown') thing.status = 'off';
    if (name === 'poweron') thing.status = 'running';
    if (name === 'change_type') thing.server_type = { name: body.server_type };
    if (name === 'enable_backup') thing.backup_window = '22-02';
    if (name === 'disable_backup') thing.backup_window = null;
    if (name === 'change_protection') thing.protection = body;
    if (name === 'set_rules') thing.rules = body.rules;
    if (name === 'remove_from_resources') thing.applied_to = [];
    if (name === 'apply_to_resources') thing.applied_to = [...thing.applied_to, ...body.apply_to];
    return { status: 201, body: kind === 'firewalls' ? { actions: [newAction()] } : { action: newAction() } };
  };

  const route = ({ method, path, query, body }: Received): Answer => {
    const [, collection = '', id, , actionName] = path.split('/');
    if (collection === 'server_types') {
      return {
        body: { server_types: [{ id: 1, name: query.get('name'), architecture: 'x86', deprecation: null }] },
      };
    }
    if (collection === 'images')
      return { body: { images: [{ id: 7, name: query.get('name'), deprecated: null }] } };
    if (collection === 'actions') {
      const found = query.getAll('id').map((wanted) => actions.get(Number(wanted))!);
      for (const action of found) action.status = action.error ? 'error' : 'success';
      return { body: { actions: found } };
    }
    const [kind, things] = collections[collection]!;
    if (method === 'POST' && id === undefined) {
      if ([...things.values()].some(({ name }) => name === body.name)) {
        return refuse(409, 'uniqueness_error', `${kind} name is already used`);
      }
      const thing = makers[collection]!(body);
      things.set(thing.id, thing);
      const action =
        collection === 'servers' ? { action: newAction(nextActionFailure), next_actions: [] } : {};
      if (collection === 'servers') nextActionFailure = undefined;
      return { status: 201, body: { [kind]: thing, actions: [], ...action } };
    }
    if (id === undefined) {
      const found = [...things.values()].filter(
        ({ name }) => !query.has('name') || name === query.get('name'),
      );
      return { body: { [`${kind}s`]: found } };
    }
    const thing = things.get(Number(id));
    if (!thing) return refuse(404, 'not_found', `${kind} with ID '${id}' not found`);
    if (actionName) return act(collection, thing, actionName, body);
    if (method === 'PUT') Object.assign(thing, body);
    if (method === 'DELETE') {
      things.delete(thing.id);
      return collection === 'servers' ? { body: { action: newAction() } } : { status: 204 };
    }
    return { body: { [kind]: thing } };
  };

  const http = await startFakeHttp((request) => {
    const index = ordered.findIndex(({ call }) => call === `${request.method} ${request.path}`);
    return index < 0 ? route(request) : ordered.splice(index, 1)[0]!.answer;
  });
  return {
    ...http,
    servers,
    sshKeys,
    firewalls,
    refuse,
    order: (call: string, answer: Answer) => ordered.push({ call, answer }),
    failNextAction(failure: { code: string; message: string }) {
      nextActionFailure = failure;
    },
  };
}

function md5Fingerprint(publicKey: string): string {
  const digest = createHash('md5')
    .update(Buffer.from(publicKey.split(' ')[1]!, 'base64'))
    .digest('hex');
  return digest.match(/../g)!.join(':');
}
// biome-ignore-end lint/suspicious/noExplicitAny: until here
