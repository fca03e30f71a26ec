// The few operations on the document; each touches it only where something differs.

export function element(id) {
  return document.getElementById(id);
}

export function setText(id, text) {
  const node = element(id);
  if (node.textContent !== text) node.textContent = text;
}

export function setHidden(id, hidden) {
  const node = element(id);
  if (node.hidden !== hidden) node.hidden = hidden;
}

export function setDisabled(id, disabled) {
  const node = element(id);
  if (node.disabled !== disabled) node.disabled = disabled;
}

/** Which symbol of index.html the icon shows. */
export function setIcon(id, name) {
  const node = element(id);
  const symbol = `#icon-${name}`;
  if (node.getAttribute('href') !== symbol) node.setAttribute('href', symbol);
}

export function listItem(text) {
  const item = document.createElement('li');
  item.textContent = text;
  return item;
}

export function span(className, text) {
  const node = document.createElement('span');
  node.className = className;
  node.textContent = text;
  return node;
}

/** Whether a key pressed there would be text. */
export function isTyping(target) {
  return target instanceof HTMLInputElement && target.type !== 'checkbox';
}
