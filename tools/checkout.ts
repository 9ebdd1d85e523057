/**
 * Buys an agent at the sandbox's checkout page, as a customer whose card works.
 * @returns the id of the session
 */
export async function buyAtCheckout(
  stripeApiUrl: string,
  order: { agentId: string; userId: string; region: string },
): Promise<string> {
  const { id } = await submit(`${stripeApiUrl}/checkout`, order);
  await submit(`${stripeApiUrl}/checkout/${id}`, { card: '4242424242424242' });
  return id;
}

const TIMEOUT_MS = 20_000;

async function submit(url: string, fields: Record<string, string>): Promise<{ id: string }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { accept: 'application/json' },
    body: new URLSearchParams(fields),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`POST ${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as { id: string };
}
