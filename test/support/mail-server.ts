import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

/** A mail as it came over the wire. */
export interface ReceivedMail {
  from: string;
  to: string[];
  user: string | undefined;
  headers: Map<string, string>;
  text: string;
  raw: string;
}

export interface MailServer {
  url: string;
  mails: ReceivedMail[];
  /** Addresses that are refused, each with its status. */
  refused: Map<string, number>;
  /** The status with which every mail is refused after its text; default: none. */
  refusesMail: number | undefined;
  close(): Promise<void>;
}

export const MAIL_PASSWORD = 'password-of-the-mail-server';

/** Starts an SMTP server on loopback that keeps what it gets. */
export async function openMailServer(): Promise<MailServer> {
  const mails: ReceivedMail[] = [];
  const refused = new Map<string, number>();
  const server = new SMTPServer({
    logger: false,
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: ({ username, password }, _session, done) =>
      password === MAIL_PASSWORD ? done(null, { user: username }) : done(new Error('wrong password')),
    onRcptTo: ({ address }, _session, done) => {
      const responseCode = refused.get(address);
      if (responseCode === undefined) return done();
      done(Object.assign(new Error('no such mailbox'), { responseCode }));
    },
    onData: async (stream, { envelope, user }, done) => {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      const raw = Buffer.concat(chunks).toString();
      const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
      const to = envelope.rcptTo.map(({ address }) => address);
      const responseCode = opened.refusesMail;
      if (responseCode !== undefined) return done(Object.assign(new Error('no spam'), { responseCode }));
      mails.push({ from, to, user: user as string | undefined, raw, ...parseMail(raw) });
      done();
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.server.address() as AddressInfo;
  const opened: MailServer = {
    url: `smtp://mailer:${MAIL_PASSWORD}@127.0.0.1:${port}`,
    mails,
    refused,
    refusesMail: undefined,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  return opened;
}

function parseMail(raw: string): Pick<ReceivedMail, 'headers' | 'text'> {
  const end = raw.indexOf('\r\n\r\n');
  const unfolded = raw.slice(0, end).replaceAll(/\r\n[ \t]+/g, ' ');
  const headers = unfolded
    .split('\r\n')
    .map(
      (line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)] as const,
    );
  return { headers: new Map(headers), text: raw.slice(end + 4) };
}
