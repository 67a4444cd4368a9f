'use strict';

const INTERVAL = 1_000;
const HIDDEN_INTERVAL = 15_000;
const LONGEST_INTERVAL = 5_000;
const TIMEOUT = 5_000;

/** Asks for the status again and again, never twice at once. */
class Poll {
  #onStatus;
  #onFailure;
  #timer;
  #isAsking = false;
  #failures = 0;

  /**
   * @param {(status: object) => void} onStatus
   * @param {(reason: string) => void} onFailure
   */
  constructor(onStatus, onFailure) {
    this.#onStatus = onStatus;
    this.#onFailure = onFailure;
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.ask();
    });
  }

  async ask() {
    if (this.#isAsking) return;
    clearTimeout(this.#timer);
    this.#isAsking = true;
    const began = performance.now();
    const result = await request();
    this.#isAsking = false;
    this.#failures = result.status ? 0 : this.#failures + 1;
    const next = this.#interval() - (performance.now() - began);
    this.#timer = setTimeout(() => this.ask(), Math.max(0, next));
    if (result.status) this.#onStatus(result.status);
    else this.#onFailure(result.reason);
  }

  #interval() {
    if (document.hidden) return HIDDEN_INTERVAL;
    return Math.min(LONGEST_INTERVAL, INTERVAL * Math.max(1, this.#failures));
  }
}

/** Resolves to the `status`, or to the `reason` why there is none. */
async function request() {
  try {
    const signal = AbortSignal.timeout(TIMEOUT);
    const response = await fetch('status', {
      signal,
      cache: 'no-store',
      credentials: 'same-origin',
    });
    if (!response.ok) return { reason: `The primary answers with HTTP status ${response.status}.` };
    return { status: await response.json() };
  } catch (error) {
    if (error.name === 'TimeoutError') return { reason: 'The primary does not answer in time.' };
    return {
      reason:
        error instanceof SyntaxError ? 'The answer is not JSON.' : 'The primary does not answer.',
    };
  }
}
