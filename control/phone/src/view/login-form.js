// The login: a form, and in the demo a button for each line.

import { splitAddress } from '../configuration.js';
import { element, setHidden, setText, span } from './elements.js';

export class LoginForm {
  #phone;
  #offered = null;

  constructor(phone, link) {
    this.#phone = phone;
    element('user').value = link.user;
    element('password').value = link.password;
    element('domain').value = link.domain || phone.configuration.domain;
    element('display-name').value = link.displayName;
    element('login-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
  }

  /** Logs in with what stands in the form. */
  submit() {
    const { user, domain } = splitAddress(element('user').value, element('domain').value);
    this.#phone.logIn({
      user,
      domain: domain || this.#phone.configuration.domain,
      password: element('password').value,
      displayName: element('display-name').value.trim(),
    });
  }

  update() {
    const { configuration, loginError } = this.#phone;
    if (configuration !== this.#offered) this.#offerDemoLines(configuration);
    this.#offered = configuration;
    const isNew = loginError !== '' && element('login-error').hidden;
    setText('login-error', loginError);
    setHidden('login-error', loginError === '');
    if (isNew) this.#showError();
  }

  // Where the mistake can be mended; the message itself is announced.
  #showError() {
    element('password').focus({ preventScroll: true });
    element('password').select();
    element('login-error').scrollIntoView({ block: 'nearest' });
  }

  #offerDemoLines({ demo, lines, domain }) {
    if (!demo || lines.length === 0) return;
    setHidden('demo', false);
    setText('login-title', 'Pick a demo line');
    setText('login-lead', 'One click logs you in. Open a second tab to call yourself.');
    element('demo-lines').replaceChildren(...lines.map((line) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.dataset.line = line.number;
      button.append(span('number', line.number), ' ', span('name', line.name ?? ''), ' ',
        span('secret', `password ${line.password}`));
      button.addEventListener('click', () => {
        element('user').value = line.number;
        element('password').value = line.password;
        element('domain').value = domain;
        element('display-name').value = line.name ?? '';
        this.submit();
      });
      const item = document.createElement('li');
      item.append(button);
      return item;
    }));
  }
}
