// A person at ringway's web phone (JsSIP): looks at the page and clicks.

import { eventually } from './scope.mjs';

/** The web phone in one page. */
export class WebPhone {
  constructor(page) {
    this.page = page;
  }

  /** Writes user, password and domain into the form and logs in. */
  async logIn(user, password, domain) {
    await this.page.waitForSelector('#login-form, #user', { visible: true });
    for (const [field, value] of Object.entries({ user, password, domain })) {
      if (value === undefined) continue;
      await this.page.$eval(
        `#${field}`,
        (element, text) => {
          element.value = text;
        },
        value,
      );
    }
    await this.#click('#login');
  }

  /** Logs in as one of the demo lines, with the password that the gateway shows. */
  async logInAsDemoLine(number) {
    const line = await this.page.evaluate(async (wanted) => {
      const { lines } = await (await fetch('/config.json')).json();
      return lines.find(({ number: own }) => own === wanted);
    }, number);
    if (!line) throw new Error(`/config.json has no line ${number}`);
    await this.logIn(line.number, line.password);
    await this.waitForRegistration('registered');
  }

  async dial(destination, { video = false } = {}) {
    await this.page.$eval(
      '#destination',
      (element, text) => {
        element.value = text;
      },
      destination,
    );
    await this.#click(video ? '#call-video' : '#call-audio');
  }

  /** What the page says with an id. */
  text(id) {
    return this.page.$eval(`#${id}`, (element) => element.textContent.trim());
  }

  /** The place of an element on the page, null where it is not shown. */
  async place(id) {
    const box = await (await this.page.$(`#${id}`)).boundingBox();
    return box && { x: box.x, y: box.y, width: box.width, height: box.height };
  }

  /** The id of the element that has the focus. */
  focused() {
    return this.page.evaluate(() => document.activeElement?.id ?? '');
  }

  answer() {
    return this.#click('#answer');
  }

  hangUp() {
    return this.#click('#hangup');
  }

  press(digit) {
    return this.#click(`[data-digit="${digit}"]`);
  }

  /** What the page shows of the call: `{ state, cause, statusCode }`. */
  call() {
    return this.page.$eval('#call-state', ({ dataset }) => ({
      state: dataset.state,
      cause: dataset.cause ?? '',
      statusCode: Number(dataset.statusCode || 0),
    }));
  }

  registration() {
    return this.page.$eval('#registration', ({ dataset }) => dataset.state);
  }

  async waitForRegistration(state, timeoutMs = 10_000) {
    let last;
    const reached = async () => (last = await this.registration()) === state;
    await eventually(`registration "${state}"`, reached, { timeoutMs }).catch((error) => {
      throw new Error(`${error.message}; it is "${last}"`);
    });
  }

  /** Waits for a state of the call and returns the call. */
  async waitForCall(state, timeoutMs = 15_000) {
    let last;
    const reached = async () => (last = await this.call()).state === state && last;
    return eventually(`call "${state}"`, reached, { timeoutMs }).catch((error) => {
      throw new Error(`${error.message}; it is ${JSON.stringify(last)}`);
    });
  }

  /** The page's own idea of the level of the remote sound at one frequency, in dB. */
  remoteLevel(frequencyHz) {
    return this.page.evaluate((hz) => globalThis.ringwayPhone.remoteLevel(hz), frequencyHz);
  }

  // A click by the page's own hand: tabs in the background take no mouse.
  async #click(selector) {
    await this.page.waitForSelector(`${selector}:not([disabled])`, {
      visible: true,
      timeout: 10_000,
    });
    await this.page.$eval(selector, (element) => element.click());
  }
}
