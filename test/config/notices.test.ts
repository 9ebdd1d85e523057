import { expect, test } from 'vitest';
import { EnvironmentReader } from '../../src/config/environment-reader.ts';
import { readNotices } from '../../src/config/notices.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

function read(environment: Record<string, string>) {
  const reader = new EnvironmentReader(environment);
  return { config: readNotices(reader), problems: reader.problems };
}

test('without variables nobody is told', () => {
  const nothing = { webhooks: undefined, mail: undefined, templates: undefined };
  expect(read({})).toEqual({ config: nothing, problems: [] });
});

test('reads several receivers and secrets, and prints neither them nor the password', () => {
  const { config, problems } = read({
    MODE: 'live',
    NOTICE_WEBHOOKS: 'https://a.example/hooks/token-1, https://b.example/',
    NOTICE_WEBHOOK_SECRET: `${SECRET},${SECRET}`,
    SMTP_URL: 'smtps://mailer:password-1@mail.example',
    NOTICE_FROM: 'agents@example.com',
    NOTICE_OPERATOR: 'ops@example.com',
  });
  expect(problems).toEqual([]);
  expect(config.webhooks?.urls.map((url) => url.reveal())).toEqual([
    'https://a.example/hooks/token-1',
    'https://b.example/',
  ]);
  expect(config.webhooks?.secrets).toHaveLength(2);
  expect(config.mail).toMatchObject({ from: 'agents@example.com', operator: 'ops@example.com' });
  expect(JSON.stringify(config)).not.toMatch(/token-1|whsec_|password-1/);
});

const WEBHOOK = { NOTICE_WEBHOOKS: 'https://a.example/', NOTICE_WEBHOOK_SECRET: SECRET };
const MAIL = { SMTP_URL: 'smtp://mail.example', NOTICE_FROM: 'agents@example.com' };

test.each([
  [{ MODE: 'live', NOTICE_WEBHOOKS: 'https://a.example/' }, 'NOTICE_WEBHOOK_SECRET is missing'],
  [
    { ...WEBHOOK, MODE: 'live', NOTICE_WEBHOOK_SECRET: 'whsec_short' },
    'NOTICE_WEBHOOK_SECRET must be whsec_',
  ],
  [{ ...WEBHOOK, MODE: 'live', NOTICE_WEBHOOK_SECRET: 'plain' }, 'NOTICE_WEBHOOK_SECRET must be whsec_'],
  [{ ...WEBHOOK, MODE: 'live', NOTICE_WEBHOOKS: 'http://a.example/' }, 'must be https in live mode'],
  [{ ...WEBHOOK, MODE: 'live', NOTICE_WEBHOOKS: 'https://a:b@a.example/' }, 'without a user name'],
  [
    { ...WEBHOOK, MODE: 'live', NOTICE_WEBHOOKS: 'https://a.example/,https://a.example/' },
    'an address twice',
  ],
  [{ ...WEBHOOK, NOTICE_WEBHOOKS: 'https://a.example/' }, 'must be on loopback outside live mode'],
  [{ ...WEBHOOK, MODE: 'rehearsal', NOTICE_WEBHOOKS: 'http://10.0.0.1/' }, 'must be on loopback'],
  [{ ...MAIL, MODE: 'rehearsal' }, 'SMTP_URL must be on loopback outside live mode'],
  [{ MODE: 'live', SMTP_URL: 'smtps://mail.example' }, 'NOTICE_FROM is missing'],
  [{ ...MAIL, MODE: 'live', SMTP_URL: 'https://mail.example' }, 'SMTP_URL must be smtp://'],
  [
    { ...MAIL, MODE: 'live', SMTP_URL: 'smtps://mail.example?tls.rejectUnauthorized=false' },
    'options behind',
  ],
  [{ ...MAIL, MODE: 'live', NOTICE_FROM: 'Agents <a@example.com>' }, 'NOTICE_FROM must be one mail address'],
  [{ ...MAIL, MODE: 'live', NOTICE_OPERATOR: 'a@example.com,b@example.com' }, 'NOTICE_OPERATOR must be one'],
  [{ NOTICE_OPERATOR: 'ops@example.com' }, 'SMTP_URL is missing'],
  [{ NOTICE_TEMPLATES: '/nowhere/at/all' }, 'NOTICE_TEMPLATES must be a folder'],
])('refuses %o', (environment, problem) => {
  expect(read(environment).problems.join('\n')).toContain(problem);
});

test('the sandbox takes receivers on this machine over http', () => {
  const { problems } = read({
    ...WEBHOOK,
    NOTICE_WEBHOOKS: 'http://127.0.0.1:9000/hook,http://localhost:9001/',
    ...MAIL,
    SMTP_URL: 'smtp://127.0.0.1:2525',
  });
  expect(problems).toEqual([]);
});
