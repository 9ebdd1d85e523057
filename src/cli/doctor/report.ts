import type { Report, ReportedCheck } from './doctor.ts';

/** The report for people: what is wrong first, each with why it matters and what mends it. */
export function reportLines({ checks, notChecked, mode }: Report): string {
  const wrong = checks.filter(({ ok }) => !ok);
  const well = checks.filter(({ ok }) => ok);
  const width = Math.max(...checks.map(({ name }) => name.length));
  return [
    ...wrong.flatMap(explain),
    ...well.map(({ name, detail }) => `  ok  ${name.padEnd(width)}  ${detail}`),
    ...notCheckedLines(notChecked),
    '',
    summarize(wrong, checks.length, mode),
  ].join('\n');
}

function explain({ name, severity, detail, why, cure }: ReportedCheck): string[] {
  return [
    `  ${severity === 'error' ? 'ERROR' : 'WARNING'}  ${name}: ${detail}`,
    ...(why === null ? [] : [`      why it matters: ${why}`]),
    ...(cure === null || cure === '' ? [] : [`      what mends it:  ${cure}`]),
    '',
  ];
}

function notCheckedLines(notChecked: Report['notChecked']): string[] {
  return [...Map.groupBy(notChecked, ({ after }) => after)].map(
    ([after, checks]) =>
      `  --  not checked until ${after} is mended: ${checks.map(({ name }) => name).join(', ')}`,
  );
}

function summarize(wrong: readonly ReportedCheck[], count: number, mode: string): string {
  if (wrong.length === 0) return `All ${count} checks pass (MODE=${mode}).`;
  const blocking = wrong.some(({ severity }) => severity === 'error');
  return `${wrong.length} of ${count} checks fail${blocking ? ': orders would wait or not arrive' : '; orders are carried out nevertheless'}.`;
}
