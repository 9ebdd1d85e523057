/** Why a card refuses a charge, as Stripe's errors say it. */
export interface Decline {
  code: string;
  decline_code: string | null;
  message: string;
}

/** A test card: its number, the names that follow `pm_card_` or `tok_`, and how it behaves. */
export interface TestCard {
  number: string;
  brand: 'amex' | 'mastercard' | 'visa';
  names: readonly string[];
  /** Every charge of it is refused. */
  decline?: Decline;
  /** It is refused already when it is attached to a customer. */
  refusesAttach?: boolean;
  /** Its charges succeed and are disputed as fraud at once. */
  disputed?: boolean;
}

const declined = (decline_code: string, message = 'Your card was declined.'): Decline => ({
  code: 'card_declined',
  decline_code,
  message,
});

/** Stripe's test cards that matter for subscriptions. Source: https://docs.stripe.com/testing */
export const TEST_CARDS: readonly TestCard[] = [
  { number: '4242424242424242', brand: 'visa', names: ['visa'] },
  { number: '5555555555554444', brand: 'mastercard', names: ['mastercard'] },
  { number: '378282246310005', brand: 'amex', names: ['amex'] },
  { number: '4000000000000259', brand: 'visa', names: ['createDispute'], disputed: true },
  {
    number: '4000000000000341',
    brand: 'visa',
    names: ['chargeCustomerFail'],
    decline: declined('generic_decline'),
  },
  refusing('4000000000000002', 'chargeDeclined', declined('generic_decline')),
  refusing(
    '4000000000009995',
    'chargeDeclinedInsufficientFunds',
    declined('insufficient_funds', 'Your card has insufficient funds.'),
  ),
  refusing('4000000000009987', 'chargeDeclinedLostCard', declined('lost_card')),
  refusing('4000000000009979', 'chargeDeclinedStolenCard', declined('stolen_card')),
  refusing('4000000000000069', 'chargeDeclinedExpiredCard', {
    code: 'expired_card',
    decline_code: 'expired_card',
    message: 'Your card has expired.',
  }),
  refusing('4000000000000127', 'chargeDeclinedIncorrectCvc', {
    code: 'incorrect_cvc',
    decline_code: 'incorrect_cvc',
    message: "Your card's security code is incorrect.",
  }),
  refusing('4000000000000119', 'chargeDeclinedProcessingError', {
    code: 'processing_error',
    decline_code: 'processing_error',
    message: 'An error occurred while processing your card. Try again in a little bit.',
  }),
];

/** The card of a buyer who names none. */
export const WORKING_CARD: TestCard = TEST_CARDS[0]!;

/** Returns the test card with a number, which may have spaces, or undefined. */
export function findCardByNumber(number: string): TestCard | undefined {
  const digits = number.replaceAll(/[ -]/g, '');
  return TEST_CARDS.find((card) => card.number === digits);
}

/** Returns the test card of an id such as `pm_card_visa` or `tok_visa`, or undefined. */
export function findCardByToken(token: string): TestCard | undefined {
  const name = /^(?:pm_card|tok)_(\w+)$/.exec(token)?.[1];
  return TEST_CARDS.find(({ names }) => name !== undefined && names.includes(name));
}

/** Returns a card that every bank refuses. Stripe has most of them also with the brand in the name. */
function refusing(number: string, name: string, decline: Decline): TestCard {
  return { number, brand: 'visa', names: [name, `visa_${name}`], decline, refusesAttach: true };
}
