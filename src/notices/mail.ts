import type { NoticeMail } from '../config/notices.ts';
import { isLoopback } from '../config/rehearsal-endpoints.ts';
import { errorMessage } from '../errors.ts';
import { withDeadline } from '../http-client/deadline.ts';
import type { Notice, Receiver, SendResult } from './receiver.ts';
import { MAILED, type MailWriter, type Reader } from './templates.ts';

/** For one mail, from the connection to the server's last answer. Shorter than a delivery's lease. */
const TIMEOUT_SECONDS = 30;
const STEP_MS = 10_000;

/** Creates the receivers of mail: the operator if configured, and the buyers. */
export function createMailReceivers(mail: NoticeMail, write: MailWriter): Receiver[] {
  const send = createSender(mail);
  const receiver = (reader: Reader, addressFor: Receiver['addressFor']): Receiver => ({
    name: `mail:${reader}`,
    addressFor,
    send: (notice, address, signal) =>
      send({ to: address ?? '', id: `${notice.noticeId}.${reader}`, ...write(notice, reader) }, signal),
  });
  const { operator } = mail;
  return [
    ...(operator === undefined
      ? []
      : [receiver('operator', (notice) => (isForOperator(notice) ? operator : undefined))]),
    receiver('buyer', ({ type }, buyerEmail) => (MAILED.buyer.includes(type) ? buyerEmail : undefined)),
  ];
}

/** A new agent is no news to the operator, unless its creation had failed before. */
function isForOperator({ type, data }: Notice): boolean {
  return MAILED.operator.includes(type) && (type !== 'agent.running' || data.recovered === true);
}

interface Mail {
  to: string;
  /** The same at every attempt, so that mail programs show one mail. */
  id: string;
  subject: string;
  text: string;
}

/** Sends each mail over a connection of its own: there are few, and none waits for another. */
function createSender({
  smtpUrl,
  from,
}: NoticeMail): (mail: Mail, signal: AbortSignal) => Promise<SendResult> {
  const url = new URL(smtpUrl.reveal());
  const options = {
    url: url.href,
    // Credentials and mail never travel in the clear, except within this machine.
    requireTLS: url.protocol === 'smtp:' && !isLoopback(url.hostname),
    connectionTimeout: STEP_MS,
    greetingTimeout: STEP_MS,
    socketTimeout: STEP_MS,
    dnsTimeout: STEP_MS,
    // No text may name a file or an address that is read into the mail.
    disableFileAccess: true,
    disableUrlAccess: true,
  };
  const domain = from.slice(from.lastIndexOf('@') + 1);
  return async ({ to, id, subject, text }, signal) => {
    // Loaded with the first mail: it takes memory that a service without mail need not have.
    const { createTransport } = await import('nodemailer');
    const transport = createTransport(options);
    const message = {
      from: { name: '', address: from },
      to: { name: '', address: to },
      subject,
      text,
      messageId: `<${id}@${domain}>`,
      headers: { 'Auto-Submitted': 'auto-generated' },
    };
    try {
      const sent = await withDeadline({ seconds: TIMEOUT_SECONDS, signal }, () =>
        transport.sendMail(message),
      );
      return { delivered: true, answer: answerCode(sent.response) };
    } catch (error) {
      signal.throwIfAborted();
      return refusal(error);
    } finally {
      transport.close();
    }
  };
}

const answerCode = (response: string) => Number(/^([2-5]\d\d)/.exec(response)?.[1] ?? 250);

/** The commands that are about one mail alone: a 5xx to one of them ends its attempts. */
const OF_ONE_MAIL = ['RCPT TO', 'DATA'];

/** An address or a mail that the server refuses for good is not tried again. */
function refusal(error: unknown): SendResult {
  const { responseCode, command } = error as { responseCode?: unknown; command?: unknown };
  const answer = typeof responseCode === 'number' ? responseCode : null;
  const isFinal = OF_ONE_MAIL.some((one) => one === command) && answer !== null && answer >= 500;
  return { delivered: false, answer, error: errorMessage(error), isFinal };
}
