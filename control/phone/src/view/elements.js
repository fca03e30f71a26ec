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
